from django.apps import AppConfig


class BrowsersApiConfig(AppConfig):
    """The live socket of browsers, and the JSON that pages read."""

    name = "dashboard.api.browsers"
