"""What every template may show."""

from django.conf import settings
from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, str]:
    """The address of the demo's own page, where there is a demo."""
    return {"demo_url": settings.DEMO_URL}
