"""One module a noun. `ROUTERS` has the prefix of each; `/policies/` is a second one of its noun."""

from typing import Final

from ninja import Router

from dashboard.api.operators.routers import (
    alerts,
    audit,
    bulk_actions,
    channels,
    device,
    drills,
    events,
    grafana,
    incidents,
    markers,
    overrides,
    people,
    policies,
    policy_acts,
    recordings,
    service_tokens,
    services,
    sessions,
    silences,
    status_links,
    teams,
    tokens,
    views,
)

ROUTERS: Final[dict[str, Router]] = {
    "/policies/": policy_acts.router,
    "/acts": bulk_actions.router,
    "/alerts/channels": channels.router,
    "/alerts": alerts.router,
    "/approvals": bulk_actions.approvals_router,
    "/audit": audit.router,
    "/device": device.router,
    "/drills": drills.router,
    "/events": events.router,
    "/grafana": grafana.router,
    "/markers": markers.router,
    "/incidents": incidents.router,
    "/me": people.me_router,
    "/people": people.router,
    "/policies": policies.router,
    "/recording-orders": recordings.router,
    "/overrides": overrides.router,
    "/service-tokens": service_tokens.router,
    "/services": services.router,
    "/sessions": sessions.router,
    "/silences": silences.router,
    "/status-links": status_links.router,
    "/teams": teams.router,
    "/tokens": tokens.router,
    "/views": views.router,
}
