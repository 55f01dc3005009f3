"""Variables of every template."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest

from dashboard.access.roles import CHANGE_POLICIES, OPERATE
from dashboard.control.action_catalogue import ACTS
from dashboard.web.viewer_zone import zone_label, zone_name


def shell(request: HttpRequest) -> dict[str, Any]:
    """The user's permissions, the acts, and the address of the demo's page."""
    user = request.user
    return {
        "demo_url": settings.DEMO_URL,
        "may_operate": user.has_perm(OPERATE),
        "may_change_policies": user.has_perm(CHANGE_POLICIES) and getattr(user, "is_staff", False),
        "acts": ACTS.values(),
        "zone_name": zone_name(),
        "zone_label": zone_label(),
    }
