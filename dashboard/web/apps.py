from django.apps import AppConfig


class WebConfig(AppConfig):
    """The HTML: views, forms, template tags; no models."""

    name = "dashboard.web"
