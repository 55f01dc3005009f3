"""What happens, as server-sent events."""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.http import StreamingHttpResponse
from ninja import Header, Query, Router

from dashboard.api.operators.event_stream import LONGEST_S, admit, position, stream
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem

router = Router(tags=["events"])
ERRORS = dict.fromkeys((401, 403, 422, 429), Problem)
LastId = Annotated[str, Header(alias="Last-Event-ID", max_length=60)]
Seconds = Annotated[float, Query(gt=0, le=LONGEST_S)]
_EVENTS: Final = {
    "responses": {
        200: {
            "description": "Events `audit` and `transition`; `begin` has the id to resume with.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        }
    }
}


@router.get("", response=ERRORS, operation_id="stream_events", openapi_extra=_EVENTS)
def stream_events(request: ApiRequest, last_id: LastId = "", seconds: Seconds = LONGEST_S) -> Any:
    """Rows of the audit trail and changes of breakers as they are stored, after the event that
    Last-Event-ID names, for `seconds` at most."""
    request.caller.demand_scope("read")
    begin = position(last_id)
    admit(request.caller)
    response = StreamingHttpResponse(
        stream(request.caller, begin, seconds), content_type="text/event-stream"
    )
    # Neither a proxy nor compression may hold events back.
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"
    return response
