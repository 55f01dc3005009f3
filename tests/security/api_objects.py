"""One of each thing that an operation may name, for the table of operations."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.backends.db import SessionStore
from django.core.cache import cache
from django.utils import timezone

from breakers.protocol import messages as wire
from dashboard.access.models import Person, ServiceToken, StatusLink
from dashboard.access.people import grant_role, keep_person, keep_team
from dashboard.access.service_tokens import create_token
from dashboard.access.services import keep_view
from dashboard.access.status_links import create_status_link
from dashboard.alerts.models import Channel, Incident, OutboxMessage
from dashboard.alerts.silences import add_silence
from dashboard.control import actions, approvals, drills, recordings
from dashboard.control.models import Override
from dashboard.control.override_writes import Target
from dashboard.policies import rollouts, schedule, services
from tests.dashboard.web.showing import showing

ACT: Final = "an act of the test"
PROPOSED: Final = "an act that waits"


@contextmanager
def everything() -> Iterator[dict[str, str]]:
    """All of them are of the service `shop`; their names and ids, by the name in a path."""
    cache.clear()
    root = keep_person("root", ["admin"])
    with showing() as show:
        show("shop", *(wire.BreakerReport(name=name, state="closed") for name in ("db", "cache")))
        yield {
            **_of_operators(root),
            **_of_editors(root),
            **_of_administrators(root),
            "service": "shop", "instance": "one",
        }  # fmt: skip


def objects_of(role: str) -> dict[str, str]:
    """A session and a view of the person with this role, if there is one."""
    person = Person.objects.filter(username=role.replace(" ", "-")).first()
    if person is None:
        return {"session": "1", "view": "1"}
    store = SessionStore()
    store.create()
    now = timezone.now()
    made = UserSession.objects.create(
        user=person, ip="192.0.2.1", session_key=store.session_key, last_seen_at=now, data={}
    )
    return {"session": str(made.pk), "view": str(keep_view(person, "mine", "").pk)}


def _of_operators(root: Person) -> dict[str, str]:
    target = Target("shop", "db")
    actions.act(root, ACT, [target], "forced_closed", "a reason", 600.0)
    with pytest.raises(approvals.ApprovalNeeded):
        approvals.perform(root, PROPOSED, [target], "reset", "a reason", proposed=True)
    order = recordings.record(root, "shop", "db", 60.0, "a reason")
    drill = drills.save(root, "a drill", "shop", "cache", "error")
    ran = drills.run(root, drills.save(root, "another", "shop", "db", "error"), "a reason")
    now = time.time()
    incident = Incident.objects.create(
        service="shop", breaker="db", headline="db is open", severity="warning", began=now
    )
    silence = add_silence(root, "shop", "db", "a reason", ends=now + 600.0)
    return {
        "act_id": ACT,
        "override_id": Override.objects.get(ended=None).pk,
        "order_id": order.id,
        "drill_name": drill.name,
        "run_id": ran.pk,
        "incident": str(incident.pk),
        "act": "acknowledge",
        "silence": str(silence.pk),
    }


def _of_editors(root: Person) -> dict[str, str]:
    version = services.save(root, "shop", "", {"timeout": 1.0}, "a reason")
    services.save(root, "shop", "", {"timeout": 2.0}, "a reason")
    later = timezone.now() + timedelta(days=1)
    change = schedule.schedule(root, "shop", "db", {"timeout": 1.0}, "a reason", later)
    canary = {"instances": ["one"]}
    rollout = rollouts.start(root, "shop", "db", {"timeout": 3.0}, canary, "a reason")
    return {"version": str(version.pk), "change": str(change.pk), "rollout": str(rollout.pk)}


def _of_administrators(root: Person) -> dict[str, str]:
    team = keep_team(None, "pay", ["bank"])
    grant_role(root, keep_person("member", []), team, "viewer")
    create_token("shop", "a token")
    create_status_link(root, "a link", timezone.now() + timedelta(days=1))
    channel = Channel.objects.create(
        name="a channel", kind="webhook", url="https://example.com", secret="x"
    )
    message = OutboxMessage.objects.create(
        key="k", channel=channel, kind="test", title="t", body="b", created=1.0, due=1.0,
        finished=2.0, outcome="given up",
    )  # fmt: skip
    return {
        "team": "pay",
        "username": "member",
        "service_token": str(ServiceToken.objects.get().pk),
        "link": str(StatusLink.objects.get().pk),
        "channel": "a channel",
        "message": str(message.pk),
    }
