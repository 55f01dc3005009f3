"""Overrides of the quorum rule."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.access.models import AuditEntry, Person
from dashboard.control import quorum
from dashboard.control.actions import act
from dashboard.control.models import Override
from dashboard.control.override_writes import AUTOMATIC, Target
from dashboard.fleet.quorum import BY, QuorumEnd, QuorumTrip
from dashboard.fleet.services import revision

pytestmark = pytest.mark.django_db
POSTS = [Target("shop", "posts")]
DUE = QuorumTrip("shop", "posts", ("i3",), 20.0, "quorum: 3 of 4 instances opened")


def test_it_is_short_named_audited_and_only_for_the_rest() -> None:
    assert quorum.trip(DUE)
    row = Override.objects.get()
    assert (row.by, row.author, row.instances, row.state) == (BY, None, ["i3"], "forced_open")
    assert row.expires - timezone.now() <= timedelta(seconds=20)
    assert revision("shop") == 1
    entry = AuditEntry.objects.get()
    assert (entry.act, entry.reason) == ("quorum tripped", DUE.reason)


def test_it_is_safe_to_repeat() -> None:
    assert quorum.trip(DUE)
    assert not quorum.trip(DUE)
    end = QuorumEnd("shop", "posts", Override.objects.get().id, "2 of 3 instances closed")
    assert quorum.end(end)
    assert not quorum.end(end)
    assert [each.act for each in AuditEntry.objects.order_by("pk")] == [
        "quorum tripped",
        "quorum ended",
    ]


def test_it_never_replaces_an_override_of_a_person(operator: Person) -> None:
    act(operator, "act-00001", POSTS, "forced_closed", "we know better", 60.0)
    assert not quorum.trip(DUE)
    assert Override.objects.get(ended=None).by == operator.get_username()


def test_a_person_who_ends_it_is_obeyed(operator: Person) -> None:
    quorum.trip(DUE)
    act(operator, "act-00001", POSTS, AUTOMATIC, "i3 is fine")
    assert not quorum.trip(DUE)
    Override.objects.update(ended=timezone.now() - timedelta(minutes=6))
    assert quorum.trip(DUE)


def test_it_does_not_end_what_a_person_has_put_there(operator: Person) -> None:
    act(operator, "act-00001", POSTS, "forced_open", "we know better", 60.0)
    made = Override.objects.get()
    assert not quorum.end(QuorumEnd("shop", "posts", made.id, "why"))
