"""Secrets: tokens of services expire, are rotated with an overlap, and are for some instances."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.utils import timezone

from breakers.agent.config import read_config
from breakers.protocol import messages as wire
from breakers.protocol.codec import JSON
from dashboard.access.models import AuditEntry, ServiceToken
from dashboard.access.service_tokens import (
    OVERLAP,
    Grant,
    authenticate_token,
    create_token,
    revoke_token,
    rotate_token,
)
from dashboard.api.agents.message_intake import take

pytestmark = pytest.mark.django_db


def row(raw: str) -> ServiceToken:
    return ServiceToken.objects.get(prefix=raw[:12])


def end(raw: str) -> None:
    ServiceToken.objects.filter(prefix=raw[:12]).update(expires=timezone.now())


def test_a_token_that_has_expired_is_nobodys() -> None:
    raw = create_token("shop", expires=timezone.now() + timedelta(hours=1))
    assert authenticate_token(raw) == Grant("shop")
    end(raw)
    assert authenticate_token(raw) is None


def test_a_rotated_token_goes_on_for_the_overlap() -> None:
    old = create_token("shop", "web", instances="web-*")
    new = rotate_token(row(old), None)
    assert authenticate_token(old) == authenticate_token(new) == Grant("shop", ("web-*",))
    left = row(old).expires - timezone.now()
    assert OVERLAP - timedelta(minutes=1) < left <= OVERLAP
    assert row(new).expires is None
    end(old)
    assert authenticate_token(old) is None
    assert authenticate_token(new) == Grant("shop", ("web-*",))
    entry = AuditEntry.objects.get(act="token rotated")
    assert entry.detail["successor"] == new[:12]
    assert new not in str(entry.detail)


def test_rotating_makes_no_token_live_longer() -> None:
    old = create_token("shop", expires=timezone.now() + timedelta(hours=1))
    before = row(old).expires
    new = rotate_token(row(old), None)
    assert row(old).expires == before
    assert row(new).expires > before, "as long as the old one was made for"


@pytest.mark.parametrize("how", [end, lambda raw: revoke_token(row(raw), None)])
def test_a_token_that_is_over_is_not_rotated(how: Any) -> None:
    raw = create_token("shop")
    how(raw)
    with pytest.raises(ValidationError, match="not valid any more"):
        rotate_token(row(raw), None)
    assert ServiceToken.objects.count() == 1


@pytest.mark.parametrize(
    ("instances", "days", "field"),
    [
        ("web-\u200b*", 1, "instances"),
        (",".join("abcdefghijklmnopqrstu"), 1, "instances"),
        ("x" * 501, 1, "instances"),
        ("web-*", -1, "expires"),
    ],
)
def test_bad_bounds_are_refused_by_field(instances: str, days: float, field: str) -> None:
    expires = timezone.now() + timedelta(days=days)
    with pytest.raises(ValidationError) as refused:
        create_token("shop", instances=instances, expires=expires)
    assert list(refused.value.message_dict) == [field]


def messages(instance: str) -> list[wire.FromAgent]:
    return [
        wire.Report("shop", wire.Instance(instance), "b", 1, 1.0),
        wire.Ack("shop", instance, 1),
        wire.Recording(
            "shop", instance, "b", "posts", "trip", "id-1", 1.0,
            offset_us=[-1000], outcome=[0], latency_us=[500], attempt=[1],
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", range(3))
def test_a_token_for_some_instances_is_refused_from_others(kind: int) -> None:
    grant = Grant("shop", ("web-*", "batch-[1]"))
    for id in ("web-1", "web-", "batch-[1]"):
        take(JSON, JSON.encode(messages(id)[kind]), grant)
    for id in ("web", "db-1", "batch-1", "a-web-1"):
        with pytest.raises(wire.WireError) as refused:
            take(JSON, JSON.encode(messages(id)[kind]), grant)
        assert refused.value.refused.code == "forbidden"
        assert refused.value.refused.field in ("$.instance.id", "$.instance")
        assert f"not for {id!r}" in refused.value.refused.message


def test_its_last_use_is_known_and_written_once_a_minute() -> None:
    raw = create_token("shop")
    assert row(raw).last_used is None
    authenticate_token(raw, "10.0.0.7")
    first = row(raw)
    assert (first.last_address, first.last_used is not None) == ("10.0.0.7", True)
    authenticate_token(raw, "10.0.0.8")
    assert row(raw).last_used == first.last_used
    ServiceToken.objects.update(last_used=timezone.now() - timedelta(minutes=2))
    authenticate_token(raw, "10.0.0.8")
    assert row(raw).last_address == "10.0.0.8"


def test_the_command_creates_bounded_tokens_and_rotates() -> None:
    out = StringIO()
    call_command("create_token", "shop", days=30, instances="web-*", stdout=out)
    old = out.getvalue().strip()
    assert authenticate_token(old) == Grant("shop", ("web-*",))
    out = StringIO()
    call_command("create_token", "shop", replaces=old[:12], overlap_days=1, stdout=out)
    assert authenticate_token(out.getvalue().strip()) == Grant("shop", ("web-*",))
    assert row(old).expires <= timezone.now() + timedelta(days=1)
    with pytest.raises(CommandError, match="no valid token that begins with 'swg_nothing'"):
        call_command("create_token", "shop", replaces="swg_nothing", stdout=out)


def test_a_token_file_is_read_again_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("swg_" + "a" * 43 + "\n")
    environ = {"SWITCHGEAR_TOKEN_FILE": str(file), "SWITCHGEAR_SERVICE": "shop"}
    config = read_config(url="ws://localhost:1", environ=environ)
    assert config is not None
    assert config.current_token() == "swg_" + "a" * 43
    file.write_text("swg_" + "b" * 43)
    assert config.current_token() == "swg_" + "b" * 43
    file.write_text("two words")
    assert config.current_token() == config.token, "no token: the one it started with"
    file.unlink()
    assert config.current_token() == config.token
    given = read_config(url="ws://localhost:1", token="swg_" + "c" * 43, environ=environ)
    assert given is not None
    assert given.token_file is None, "the argument wins, and its file is not read"
