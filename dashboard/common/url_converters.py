"""Names in addresses. Agents may name a service or breaker anything, a slash included: the name is
quoted once more than the address itself is, so that what a server unquotes is still one segment."""

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
    """`<export:format>` in a route: what the timeline can be saved as."""

    regex = "json|csv|md"


register_converter(NameConverter, "name")
register_converter(ExportConverter, "export")
