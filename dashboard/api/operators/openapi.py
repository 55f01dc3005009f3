"""The OpenAPI document: what ninja writes, and what surrounds every operation.

Errors are `application/problem+json` everywhere, and `pipeline` may answer any operation with some.
"""

from __future__ import annotations

from typing import Any, Final

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema

from dashboard.api.operators.problems import CONTENT_TYPE, Problem

# What `pipeline` answers, whatever the operation is; a write may repeat one that is in progress.
_ALWAYS: Final = {
    400: "The body cannot be read.",
    401: "No valid token or session.",
    403: "The role or the scopes of the token do not allow it.",
    413: "The body is too large.",
    422: "A field is not valid; `errors` names it.",
    429: "Too many requests; Retry-After says how long to wait.",
}
_OF_WRITES: Final = {409: "In conflict with another request, or with one of the same key."}
_REFERENCE: Final = {"$ref": f"#/components/schemas/{Problem.__name__}"}


class DocumentedApi(NinjaAPI):
    """An API whose document names every error."""

    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """The document, as ninja would write it if it knew of `pipeline`."""
        document = super().get_openapi_schema(**options)
        for methods in document["paths"].values():
            for method, operation in methods.items():
                responses = operation["responses"]
                extra = _ALWAYS if method == "get" else {**_ALWAYS, **_OF_WRITES}
                for status, description in extra.items():
                    responses.setdefault(status, {"description": description})
                for status, response in responses.items():
                    if int(status) >= 400:
                        response["content"] = {CONTENT_TYPE: {"schema": _REFERENCE}}
        return document
