"""Fields that connected agents do not know are marked before a version that sets them is saved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client

from breakers.circuit.policy import Policy
from breakers.protocol import messages as wire
from dashboard.access.models import Person
from dashboard.policies import documents, services
from dashboard.policies.acknowledgements import record_refusals
from dashboard.policies.understanding import not_understood
from tests.dashboard.web.showing import showing

pytestmark = [pytest.mark.usefixtures("static_files"), pytest.mark.django_db]
PAGE = "/services/shop/breakers/posts/policy"
NEW = Policy().as_dict()
OLD = {name: value for name, value in NEW.items() if name not in ("hedge_delay", "retry_budget")}


@pytest.fixture
def show() -> Iterator[Callable[..., None]]:
    with showing() as show:

        def reported(instance: str, policy: dict[str, Any] | None, breaker: str = "posts") -> None:
            show("shop", wire.BreakerReport(breaker, "closed", policy=policy), instance=instance)

        yield reported


@pytest.fixture
def client(operator: Person) -> Client:
    services.note_declared({"shop": {"posts": {"timeout": 0.5}}})
    client = Client()
    client.force_login(operator)
    return client


def test_an_agent_that_knows_every_field_marks_nothing(
    client: Client, show: Callable[..., None]
) -> None:
    show("one", NEW)
    assert not_understood("shop", "posts") == {}
    assert "not-understood" not in client.get(PAGE).content.decode()


def test_nothing_is_said_of_an_agent_that_has_not_said_what_it_knows(
    show: Callable[..., None],
) -> None:
    show("one", None)
    assert not_understood("shop", "posts") == {}


def test_a_field_that_no_connected_agent_understands_is_marked_in_the_editor(
    client: Client, show: Callable[..., None]
) -> None:
    show("one", OLD)
    show("two", OLD)
    page = client.get(PAGE).content.decode()
    assert page.count("not-understood") == 2
    assert (
        "No connected agent understands it: every instance (2) would refuse a policy that sets it."
        in page
    )


def test_a_field_that_some_do_not_understand_names_them(
    client: Client, show: Callable[..., None]
) -> None:
    show("one", OLD)
    show("two", NEW)
    show("elsewhere", OLD, "ads")
    page = client.get(PAGE).content.decode()
    words = "1 of 2 connected instances do not understand it and would refuse a policy"
    assert f"{words} that sets it: one." in page
    for path in ("/services/shop/policy", "/policies"):
        assert "2 of 3 connected instances" in client.get(path).content.decode()
    # The page of the fleet names no instance: not everybody may see every service.
    assert "sets it: elsewhere" not in client.get("/policies").content.decode()


def test_an_agent_that_is_updated_is_marked_no_more(show: Callable[..., None]) -> None:
    show("one", OLD)
    assert set(not_understood("shop", "posts")) == {"hedge_delay", "retry_budget"}
    show("one", NEW)
    assert not_understood("shop", "posts") == {}


def test_versions_that_no_connected_agent_understands_are_marked(
    client: Client, show: Callable[..., None], operator: Person
) -> None:
    services.save(operator, "shop", "posts", {"retry_budget": 0.2})
    services.save(operator, "shop", "posts", {"timeout": 0.2})
    show("one", OLD)
    page = client.get(PAGE).content.decode()
    assert page.count("No connected agent understands retry budget.") == 1


def test_a_plan_names_the_fields_that_are_not_understood(
    show: Callable[..., None], client: Client, operator: Person
) -> None:
    show("one", OLD)
    fields = {"timeout": "1 s", "retry_budget": "20 %"}
    document = {"services": {"shop": {"breakers": {"posts": fields}}}}
    (found,) = documents.plan(operator, document)["not_understood"]
    assert (found["field"], found["instances"], found["total"]) == ("retry_budget", ["one"], 1)
    assert "No connected agent understands it" in found["message"]
    services.save(operator, "shop", "posts", {"retry_budget": 0.2})
    # A field that is no longer set is refused by nobody.
    assert documents.plan(operator, {})["not_understood"] == []


def test_a_refusal_stands_beside_its_instance_on_both_pages(
    client: Client, show: Callable[..., None], operator: Person
) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.05})
    show("one", NEW)
    show("two", NEW)
    reason = "timeout is 0.05; this process obeys at least 0.2 (obey=)"
    item = wire.AckItem("policy", "posts", "refused", "", reason)
    record_refusals([("shop", wire.Ack("shop", "two", 1, [item]))])
    page = client.get(PAGE).content.decode()
    assert 'data-instance="one" data-result="waiting"' in page
    assert 'data-instance="two" data-result="refused"' in page
    assert f"refused: {reason}" in page
    breaker = client.get(PAGE.removesuffix("/policy")).content.decode()
    assert f"<b>two</b> refused it: {reason}" in breaker
    assert f"refused: posts: {reason}" in client.get("/services/shop/policy").content.decode()
