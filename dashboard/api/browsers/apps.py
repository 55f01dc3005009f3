from django.apps import AppConfig


class BrowsersApiConfig(AppConfig):
    """Frames to browsers."""

    name = "dashboard.api.browsers"
