"""What the supervisor gives to the processes it starts."""

import socket
from pathlib import Path

import pytest

from examples.shop.supervisor import address, environment, listen

OURS = {
    "PATH": "/bin",
    "SWITCHGEAR_URL": "http://127.0.0.1:8000",
    "SWITCHGEAR_TOKEN_PROFILE_API": "for profile-api",
    "SWITCHGEAR_TOKEN_WEB": "for web",
    "SWITCHGEAR_SECRET_KEY": "for nobody",
}


def test_a_service_gets_its_own_token_and_name() -> None:
    env = environment("profile-api", "profile-api-2", Path("/state"), OURS)
    assert env == {
        "PATH": "/bin",
        "SWITCHGEAR_URL": "http://127.0.0.1:8000",
        "SWITCHGEAR_TOKEN": "for profile-api",
        "SWITCHGEAR_SERVICE": "profile-api",
        "SWITCHGEAR_INSTANCE": "profile-api-2",
        "SWITCHGEAR_STATE_DIR": "/state",
    }


@pytest.mark.parametrize("kind", ["users-db", "load"])
def test_others_hear_nothing_of_the_dashboard(kind: str) -> None:
    assert environment(kind, kind, Path("/state"), OURS) == {"PATH": "/bin"}


@pytest.mark.parametrize("missing", ["SWITCHGEAR_URL", "SWITCHGEAR_TOKEN_WEB"])
def test_a_service_without_address_or_token_runs_without_a_dashboard(missing: str) -> None:
    ours = {name: value for name, value in OURS.items() if name != missing}
    assert environment("web", "web-1", Path("/state"), ours) == {"PATH": "/bin"}


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with listen(port) as other:
            assert other.getsockname()[1] != port
            assert address(other) == f"http://127.0.0.1:{other.getsockname()[1]}"


def test_whoever_connects_before_the_process_is_up_waits() -> None:
    with listen(0) as listening, socket.create_connection(listening.getsockname(), timeout=1.0):
        pass
