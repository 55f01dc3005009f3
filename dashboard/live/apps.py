from django.apps import AppConfig


class LiveConfig(AppConfig):
    """Frames to browsers."""

    name = "dashboard.live"
