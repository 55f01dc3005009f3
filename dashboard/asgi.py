"""The composition root of the web process: routes connections and starts background tasks.

Agents go to `api.agents`, browsers' sockets to Channels, everything else to Django.
"""

from __future__ import annotations

import os

import django
from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402
from django.urls import path  # noqa: E402 - the rest needs Django to be set up

from dashboard.alerts.runner import Runner  # noqa: E402
from dashboard.api.agents.app import AgentApi  # noqa: E402
from dashboard.api.browsers.consumers import FRAMES_OUT, LiveConsumer  # noqa: E402
from dashboard.api.browsers.same_origin import SameOrigin  # noqa: E402
from dashboard.bus import bus  # noqa: E402
from dashboard.common.asgi_types import Receive, Scope, Send  # noqa: E402
from dashboard.common.transport_security import with_transport_security  # noqa: E402
from dashboard.fleet.snapshot.process import fleet_snapshot  # noqa: E402
from dashboard.observability.process_metrics import add_web_gauges  # noqa: E402
from dashboard.observability.request_ids import RequestIds  # noqa: E402
from dashboard.runtime.embedded import embedded  # noqa: E402
from dashboard.runtime.interpreter_tuning import tune_interpreter  # noqa: E402

# Every socket of browsers, by path; that of agents is `breakers.protocol.paths.SOCKET`.
BROWSER_SOCKETS = {"/live/v1": LiveConsumer.as_asgi()}

_pages = RequestIds(get_asgi_application())
_sockets = RequestIds(
    SameOrigin(
        AuthMiddlewareStack(
            URLRouter([path(each.strip("/"), app) for each, app in BROWSER_SOCKETS.items()])
        )
    )
)
_agent_api = AgentApi(fleet_snapshot())
_alerts = Runner(fleet_snapshot())


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """The whole dashboard."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif _agent_api.takes(scope):
        await _agent_api(scope, receive, with_transport_security(send))
    elif scope["type"] == "websocket":
        if scope["path"] in BROWSER_SOCKETS:
            # Frames bypass the middleware around the consumer: the session middleware checks the
            # session for each message, which costs more than sending one.
            await _sockets({**scope, FRAMES_OUT: send}, receive, send)
        else:
            await send({"type": "websocket.close", "code": 4404})
    else:
        await _pages(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Start and stop the background tasks on the server's lifespan events."""
    await receive()
    try:
        fleet_snapshot().start()
        add_web_gauges()
        if settings.EMBEDDED:
            embedded.start()
        _agent_api.start()
        _alerts.start()
        tune_interpreter()
    except Exception as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        raise
    await send({"type": "lifespan.startup.complete"})
    await receive()
    # Stop accepting reports, store a last checkpoint, then disconnect.
    await _agent_api.stop()
    await _alerts.stop()
    await embedded.stop()
    await fleet_snapshot().stop()
    await bus().aclose()
    await send({"type": "lifespan.shutdown.complete"})
