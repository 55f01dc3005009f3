"""In force that is not: the instances that refuse a policy are listed, until they apply one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.policies.acknowledgements import record_refusals
from tests.dashboard.api.operators.conftest import Api

pytestmark = pytest.mark.django_db


def answer(instance: str, status: str, reason: str = "") -> None:
    item = wire.AckItem("policy", "posts", status, "", reason)
    record_refusals([("shop", wire.Ack("shop", instance, 7, [item]))])


def test_refusals_are_listed_by_instance_and_gone_once_it_applies_one(
    api_of: Callable[..., Api], viewer: Person
) -> None:
    api = api_of(viewer, "read")
    answer("one", "refused", "timeout is below the floor of 50 ms")
    answer("two", "applied")
    (found,) = api("GET", "/policies/refusals?service=shop").json()
    assert (found["breaker"], found["instance"], found["revision"]) == ("posts", "one", 7)
    assert "floor" in found["reason"]
    assert api("GET", "/policies/refusals?service=shop&breaker=other").json() == []
    answer("one", "applied")
    assert api("GET", "/policies/refusals?service=shop").json() == []
