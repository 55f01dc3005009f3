"""What every template may show."""

from django.conf import settings
from django.http import HttpRequest

from dashboard.access.roles import CHANGE_POLICIES, OPERATE


def shell(request: HttpRequest) -> dict[str, object]:
    """What the viewer may do, and the address of the demo's own page, where there is a demo."""
    user = request.user
    return {
        "demo_url": settings.DEMO_URL,
        "may_operate": user.has_perm(OPERATE),
        "may_change_policies": user.has_perm(CHANGE_POLICIES) and getattr(user, "is_staff", False),
    }
