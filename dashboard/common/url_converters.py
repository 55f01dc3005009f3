"""URL converters. A name of a service or breaker may contain a slash, so it is quoted twice: after
the server has unquoted the path once, the name is still one segment."""

from urllib.parse import quote, unquote

from django.urls import register_converter
from django.urls.converters import StringConverter


class NameConverter:
    """`<name:service>` in a route."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        return unquote(value)

    def to_url(self, value: str) -> str:
        return quote(value, safe="")


class ExportConverter(StringConverter):
    """`<export:format>` in a route: a format of the timeline's export."""

    regex = "json|csv|md"


register_converter(NameConverter, "name")
register_converter(ExportConverter, "export")
