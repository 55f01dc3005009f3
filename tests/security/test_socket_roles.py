"""Both sockets against every role and every other credential. A new socket without a row fails."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from breakers.protocol.codec import JSON
from breakers.protocol.paths import SOCKET
from dashboard.asgi import BROWSER_SOCKETS
from tests.dashboard.api.agents.talking import report
from tests.security.conftest import Live
from tests.security.roles import ANONYMOUS, NONE, ROLES, VIEWERS

# By path: the roles whose session opens it. Agents' tokens open theirs, and no session does.
SOCKETS: Final = {"/live/v1": VIEWERS, "/agent/v1": NONE}


def test_every_socket_has_a_row() -> None:
    assert {*BROWSER_SOCKETS, SOCKET} == set(SOCKETS)


def test_no_other_path_is_a_socket(live: Live) -> None:
    assert not opens(live, "/live/v2", Cookie=live.cookies["admin"])


def opens(live: Live, path: str, **headers: str) -> bool:
    """Whether a socket is opened and serves."""
    options: dict[str, Any] = {"additional_headers": headers, "proxy": None}
    if path == "/agent/v1":
        options["subprotocols"] = [JSON.subprotocol]
    else:
        options["origin"] = live.url
    try:
        with connect(live.socket_url + path, **options) as opened:
            is_browser = path == "/live/v1"
            asked = {"subscribe": {"services": ["*"]}} if is_browser else report(1, "role")
            opened.send(json.dumps(asked))
            answer = json.loads(opened.recv(timeout=30))
    except (ConnectionClosed, InvalidStatus):
        return False
    assert answer["type"] in ("snapshot", "desired", "received"), answer
    return True


@pytest.mark.parametrize("path", SOCKETS)
@pytest.mark.parametrize("role", ROLES)
def test_a_socket_is_open_to_its_roles_alone(live: Live, role: str, path: str) -> None:
    headers = {"Cookie": live.cookies[role]} if role != ANONYMOUS else {}
    assert opens(live, path, **headers) == (role in SOCKETS[path])
    if role != ANONYMOUS:
        # A personal token is for the API, not for sockets.
        assert not opens(live, path, Authorization=f"Bearer {live.tokens[role]}")


def test_the_token_of_a_service_opens_the_agents_socket_alone(live: Live) -> None:
    bearer = {"Authorization": f"Bearer {live.service_token}"}
    assert opens(live, "/agent/v1", **bearer)
    assert not opens(live, "/live/v1", **bearer)


OTHER_ORIGINS: Final = [
    "https://evil.example",
    "http://127.0.0.1.evil.example",
    "null",
    # The same host by another scheme or at another port is another origin.
    "https://127.0.0.1:{port}",
    "http://127.0.0.1:1",
    "http://127.0.0.1",
]


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_a_socket_from_another_origin_is_refused(live: Live, origin: str) -> None:
    named = origin.format(port=live.url.rpartition(":")[2])
    headers = {"Cookie": live.cookies["viewer"]}
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(live.socket_url + "/live/v1", origin=named, additional_headers=headers, proxy=None),  # type: ignore[arg-type]
    ):
        pytest.fail("was let in")
    assert refused.value.response.status_code == 403
