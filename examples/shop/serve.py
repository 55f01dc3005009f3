"""The entry point of every process that the supervisor starts: becomes what it is assigned."""

from __future__ import annotations

import logging
import socket

import uvicorn
from starlette.applications import Starlette

from examples import parent_watchdog
from examples.shop import profile_api, web
from examples.shop.assignment import DEPENDENCIES, Assignment
from examples.shop.dependency import Dependency
from examples.shop.load import Load


def main() -> None:
    """Serve until SIGTERM, or until the supervisor is gone."""
    parent_watchdog.hold_on_to_parent()
    assignment = Assignment.from_environment()
    logging.basicConfig(level="WARNING", format=f"{assignment.name}: %(message)s")
    listening = socket.socket(fileno=assignment.fd)
    server(app_for(assignment)).run(sockets=[listening])


def app_for(assignment: Assignment) -> Starlette:
    """The application of a process."""
    if assignment.kind in DEPENDENCIES:
        return Dependency(assignment.kind).app()
    peers = assignment.peers
    if assignment.kind == "web":
        return web.make_app(peers["profile-api"])
    if assignment.kind == "load":
        # Half of the users come through web, the others ask profile-api themselves.
        api, front = peers["profile-api"], peers["web"]
        return Load([*front * len(api), *api * len(front)], assignment.rate).app()
    return profile_api.make_app({kind: peers[kind] for kind in DEPENDENCIES})


def server(app: Starlette) -> uvicorn.Server:
    """uvicorn without WebSockets and access log, and with a short time to shut down."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            http="h11",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=60,
        )
    )


if __name__ == "__main__":
    main()
