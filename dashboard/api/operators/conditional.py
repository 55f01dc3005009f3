"""ETag and If-Match: a write names the version that it was based on."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from dashboard.api.operators.problems import ApiError


def etag(version: object) -> str:
    """The entity tag of a version."""
    return f'"{version}"'


def set_etag(response: HttpResponse, version: object) -> None:
    """Add the ETag of a version to a response."""
    response["ETag"] = etag(version)


def demand_match(request: HttpRequest, version: object) -> None:
    """Raise unless If-Match names the current version, or is `*`.

    Raises:
        ApiError: 428 without If-Match, 412 when someone else has changed it since.
    """
    header = request.headers.get("If-Match", "")
    if not header:
        raise ApiError(
            428, "precondition_required",
            "Send If-Match with the ETag of the version that you have read.",
            [("If-Match", "missing")], {"ETag": etag(version)},
        )  # fmt: skip
    named = [each.strip().removeprefix("W/") for each in header.split(",")]
    if "*" not in named and etag(version) not in named:
        raise ApiError(
            412, "changed", "Someone has changed this since you have read it; read it again.",
            [("If-Match", f"{header[:80]} is not the current version")], {"ETag": etag(version)},
        )  # fmt: skip
