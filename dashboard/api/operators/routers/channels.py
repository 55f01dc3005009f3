"""Channels of alerts: list, keep, test and delete them. What is secret goes in and never out."""

from __future__ import annotations

from typing import Any, Literal

from django.http import HttpResponse
from ninja import Router, Schema, Status

from dashboard.access.authority import demand
from dashboard.access.roles import ADMINISTER
from dashboard.alerts import channel_settings, services
from dashboard.alerts.models import Channel
from dashboard.api.operators.conditional import demand_match, set_etag
from dashboard.api.operators.pipeline import ApiRequest
from dashboard.api.operators.problems import Problem, not_found

router = Router(tags=["alerts"])
ERRORS = dict.fromkeys((401, 403, 404, 409, 412, 422, 428, 429), Problem)


class ChannelIn(Schema):
    """An Apprise address, or a webhook with the secret that signs it. An address or a secret that
    is empty stays as it is."""

    kind: Literal["apprise", "webhook"] = "apprise"
    url: str = ""
    secret: str = ""
    enabled: bool = True


class ChannelOut(Schema):
    """A channel. `failing_since` is a Unix time, while the last delivery failed; `version` is for
    If-Match."""

    name: str
    kind: str
    enabled: bool
    failing_since: float | None
    last_error: str
    version: str


class QueuedOut(Schema):
    queued: bool


@router.get("", response={200: list[ChannelOut], **ERRORS}, operation_id="list_channels")
def list_channels(request: ApiRequest) -> list[dict[str, Any]]:
    """All channels, without their addresses and secrets."""
    _demand(request)
    return [_shown(row) for row in Channel.objects.all()]


@router.put(
    "/{name:channel}",
    response={200: ChannelOut, 201: ChannelOut, **ERRORS},
    operation_id="keep_channel",
)
def keep_channel(
    request: ApiRequest, response: HttpResponse, channel: str, body: ChannelIn
) -> Status[dict[str, Any]]:
    """Add a channel, or change one (with If-Match)."""
    _demand(request)
    row = _found(channel)
    if row is not None:
        demand_match(request, channel_settings.version(row))
    kept = row or Channel(name=channel)
    kept.kind, kept.enabled = body.kind, body.enabled
    kept.url, kept.secret = body.url or kept.url, body.secret or kept.secret
    channel_settings.save_channel(request.caller.person, kept)
    set_etag(response, channel_settings.version(kept))
    return Status(201 if row is None else 200, _shown(kept))


@router.delete("/{name:channel}", response={204: None, **ERRORS}, operation_id="delete_channel")
def delete_channel(request: ApiRequest, channel: str) -> Status[None]:
    """Delete a channel with its routes (with If-Match)."""
    _demand(request)
    row = _found(channel)
    if row is None:
        raise not_found(f"There is no channel {channel[:80]!r}.")
    demand_match(request, channel_settings.version(row))
    channel_settings.delete_channel(request.caller.person, row)
    return Status(204, None)


@router.post(
    "/{name:channel}/test", response={200: QueuedOut, **ERRORS}, operation_id="test_channel"
)
def test_channel(request: ApiRequest, channel: str) -> dict[str, bool]:
    """Queue a test message to a channel."""
    _demand(request)
    row = _found(channel)
    if row is None:
        raise not_found(f"There is no channel {channel[:80]!r}.")
    return {"queued": services.test_channel(request.caller.person, row)}


def _demand(request: ApiRequest) -> None:
    request.caller.demand_scope("admin")
    demand(request.caller.person, ADMINISTER)


def _found(name: str) -> Channel | None:
    return Channel.objects.filter(name=name).first() if "\0" not in name else None


def _shown(row: Channel) -> dict[str, Any]:
    names = ("name", "kind", "enabled", "failing_since", "last_error")
    return {name: getattr(row, name) for name in names} | {"version": channel_settings.version(row)}
