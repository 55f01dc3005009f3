"""One module a noun. `ROUTERS` has the prefix of each."""

from typing import Final

from ninja import Router

from dashboard.api.operators.routers import (
    alerts,
    audit,
    bulk_actions,
    drills,
    grafana,
    markers,
    overrides,
    people,
    policies,
    recordings,
    services,
    teams,
    tokens,
)

ROUTERS: Final[dict[str, Router]] = {
    "/acts": bulk_actions.router,
    "/alerts": alerts.router,
    "/approvals": bulk_actions.approvals_router,
    "/audit": audit.router,
    "/drills": drills.router,
    "/grafana": grafana.router,
    "/markers": markers.router,
    "/me": people.me_router,
    "/policies": policies.router,
    "/recording-orders": recordings.router,
    "/overrides": overrides.router,
    "/services": services.router,
    "/teams": teams.router,
    "/tokens": tokens.router,
}
