"""The protocol, published: JSON Schema of its messages, OpenAPI of its HTTP side, AsyncAPI of its
socket. Generated from the structs and tables that validation itself uses, readable by anybody."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec

from breakers.protocol import messages as wire
from breakers.protocol import schema
from breakers.protocol.codec import CODECS
from breakers.protocol.paths import ACKS, ASYNCAPI, OPENAPI, RECORDINGS, REPORTS, SCHEMA, SOCKET
from dashboard.api.agents.error_replies import CLOSE_CODES, RETRY_AFTER_S, STATUS
from dashboard.common.asgi_types import Scope, Send
from dashboard.common.connections import GOING_AWAY

_COMPONENTS: Final = "#/components/schemas/"
_INFO: Final = {
    "title": "Switchgear for agents",
    "version": str(wire.VERSION),
    "license": {"name": "MIT", "url": "https://opensource.org/license/mit"},
    "description": "How agents report circuit breakers and receive their desired state. "
    "The rules that no schema can tell are in docs/protocol.md.",
}
_SECURITY: Final = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token of a service; it speaks for no other.",
    }
}


def openapi() -> dict[str, Any]:
    """OpenAPI 3.1: reports and acknowledgements over HTTP, and these documents."""
    return {
        "openapi": "3.1.0",
        "info": _INFO,
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {
            REPORTS: {"post": _post("Report", "What happened at an instance's breakers.", _SAFE)},
            ACKS: {"post": _post("Ack", "What became of a desired state.", _KEPT)},
            RECORDINGS: {"post": _post("Recording", "Calls of a breaker, one by one.", _KEPT)},
            SCHEMA: {"get": _get("This protocol's messages as JSON Schema.")},
            OPENAPI: {"get": _get("This document.")},
            ASYNCAPI: {"get": _get("The same protocol over a WebSocket, as AsyncAPI.")},
        },
        "components": {
            "schemas": schema.definitions(_COMPONENTS),
            "securitySchemes": _SECURITY,
        },
    }


def _content(name: str) -> dict[str, Any]:
    reference = {"$ref": _COMPONENTS + name}
    return {codec.content_type: {"schema": reference} for codec in CODECS}


_SAFE: Final = {
    "200": {
        "description": "The report is counted, or was before. What is desired of the service.",
        "headers": {
            "Switchgear-Received": {
                "description": "The report's seq: it may be forgotten.",
                "required": True,
                "schema": {"type": "integer", "minimum": 1},
            }
        },
        "content": _content("Desired"),
    }
}
_KEPT: Final = {"204": {"description": "It is kept."}}


def _post(name: str, summary: str, success: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": f"post{name}",
        "summary": summary,
        "parameters": [
            {
                "name": "Content-Encoding",
                "in": "header",
                "description": f"The limit of {wire.MAX_MESSAGE_BYTES} bytes holds unpacked.",
                "schema": {"enum": ["identity", "gzip"], "default": "identity"},
            }
        ],
        "requestBody": {"required": True, "content": _content(name)},
        "responses": success | _error_responses(),
    }


def _error_responses() -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for code, status in STATUS.items():
        by_status.setdefault(status, []).append(code)
    return {str(status): _refusal(status, codes) for status, codes in sorted(by_status.items())}


def _refusal(status: int, codes: list[str]) -> dict[str, Any]:
    narrowed = {"properties": {"code": {"enum": codes}}}
    content = {"schema": {"allOf": [{"$ref": _COMPONENTS + "Refused"}, narrowed]}}
    answer: dict[str, Any] = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}.",
        "content": {wire.CONTENT_JSON: content},
    }
    if "busy" in codes:
        retry = {"schema": {"type": "integer", "default": RETRY_AFTER_S}}
        answer["headers"] = {"Retry-After": {"description": "In seconds.", **retry}}
    return answer


def _get(summary: str) -> dict[str, Any]:
    content = {wire.CONTENT_JSON: {"schema": {"type": "object"}}}
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "A JSON document.", "content": content}},
    }


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0: the socket, as the dashboard sees it."""
    names = [kind.__name__ for kind in schema.MESSAGES]
    sent = {kind.__name__ for kind in schema.FROM_SERVER}
    return {
        "asyncapi": "3.0.0",
        "info": _INFO,
        "defaultContentType": wire.CONTENT_MSGPACK,
        "servers": {
            "dashboard": {
                "host": "{host}",
                "protocol": "wss",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
                "variables": {"host": {"description": "Where this document comes from."}},
            }
        },
        "channels": {"agent": _channel(names)},
        "operations": {
            ("tell" if name in sent else "hear") + name: {
                "action": "send" if name in sent else "receive",
                "channel": {"$ref": "#/channels/agent"},
                "messages": [{"$ref": f"#/channels/agent/messages/{name}"}],
            }
            for name in names
        },
        "components": {
            "messages": {name: _message(name) for name in names},
            "schemas": schema.definitions(_COMPONENTS),
            "securitySchemes": _SECURITY,
        },
    }


def _channel(names: list[str]) -> dict[str, Any]:
    formats = {codec.subprotocol: codec.content_type for codec in CODECS}
    headers = {
        "type": "object",
        "required": ["Authorization", "Sec-WebSocket-Protocol"],
        "properties": {
            "Authorization": {"type": "string", "pattern": "^Bearer .+$"},
            "Sec-WebSocket-Protocol": {"type": "string", "enum": list(formats)},
        },
    }
    return {
        "address": SOCKET,
        "title": "An agent's WebSocket",
        "description": "The subprotocol chooses the format: "
        + ", ".join(f"{name} is {kind}" for name, kind in formats.items())
        + ". Binary frames carry MessagePack, text frames JSON.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in names},
        "bindings": {"ws": {"method": "GET", "headers": headers}},
        "x-close-codes": _close_codes(),
    }


def _close_codes() -> dict[str, str]:
    codes: dict[int, list[str]] = {GOING_AWAY: ["going_away"]}
    for name, number in CLOSE_CODES.items():
        codes.setdefault(number, []).append(name)
    return {str(number): ", ".join(names) for number, names in sorted(codes.items())}


def _message(name: str) -> dict[str, Any]:
    return {"name": name.lower(), "title": name, "payload": {"$ref": _COMPONENTS + name}}


_DOCUMENTS: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    SCHEMA: schema.json_schema,
    OPENAPI: openapi,
    ASYNCAPI: asyncapi,
}
DOCUMENTS: Final = tuple(_DOCUMENTS)


@cache
def _body(path: str) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_DOCUMENTS[path]()), indent=1)


async def serve(scope: Scope, send: Send) -> None:
    """Answer with one of `DOCUMENTS`. Pages of other origins may read it: tools for such documents
    live there."""
    allowed = scope["method"] in ("GET", "HEAD")
    body = _body(scope["path"]) if allowed else b""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"public, max-age=300"),
        (b"access-control-allow-origin", b"*"),
        *([] if allowed else [(b"allow", b"GET, HEAD")]),
    ]
    status = 200 if allowed else 405
    await send({"type": "http.response.start", "status": status, "headers": headers})
    sent = b"" if scope["method"] == "HEAD" else body
    await send({"type": "http.response.body", "body": sent})
