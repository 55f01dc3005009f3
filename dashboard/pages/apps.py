from django.apps import AppConfig


class PagesConfig(AppConfig):
    """The HTML: views, forms, template tags; no models."""

    name = "dashboard.pages"
