"""One module a noun. `ROUTERS` has the prefix of each."""

from typing import Final

from ninja import Router

from dashboard.api.operators.routers import markers, people, policies, services, teams, tokens

ROUTERS: Final[dict[str, Router]] = {
    "/markers": markers.router,
    "/me": people.me_router,
    "/policies": policies.router,
    "/services": services.router,
    "/teams": teams.router,
    "/tokens": tokens.router,
}
