"""Hostile values at every door that takes policies: each is refused at its field, or is in range;
nothing is half-applied."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.test import Client

from dashboard.access.models import Person
from dashboard.policies import documents, services
from dashboard.policies.knobs import KNOBS
from dashboard.policies.models import BreakerPolicy, PolicyVersion, Replay
from dashboard.policies.services import PolicyConflict

pytestmark = pytest.mark.django_db
PAGE = "/services/shop/breakers/posts/policy"
NUMERIC = [name for name, spec in KNOBS.items() if not spec.choices]
TEXTS = ("-1", "0", "nan", "inf", "-inf", "1e308", "1e-308", "many", "٣", "１２", "0x10", "1_0")
VALUES: tuple[Any, ...] = (*TEXTS, -1, 0, 1e308, float("nan"), float("inf"), 10**40, True, [1], {})


def document(name: str, value: Any) -> dict[str, Any]:
    return {"services": {"shop": {"breakers": {"posts": {name: value, "criticality": "critical"}}}}}


@pytest.fixture
def posts(operator: Person) -> None:
    """The shop has reported a breaker named posts."""
    services.note_declared({"shop": {"posts": {}}})


@pytest.mark.usefixtures("posts")
@pytest.mark.parametrize("name", NUMERIC)
def test_a_document_is_refused_at_its_path_or_in_range(operator: Person, name: str) -> None:
    for value in VALUES:
        refused = []
        try:
            documents.apply(operator, document(name, value), "fuzz")
        except ValidationError as error:
            refused = list(error.message_dict)
        if refused:
            assert f"services.shop.breakers.posts.{name}" in refused, value
            assert not PolicyVersion.objects.exists(), value
            continue
        saved = BreakerPolicy.objects.get().fields
        assert saved[name] == KNOBS[name].check(saved[name]), value
        documents.apply(operator, {}, "back")
        PolicyVersion.objects.all().delete()


@pytest.mark.usefixtures("posts")
@pytest.mark.parametrize("name", NUMERIC)
def test_a_bulk_edit_is_refused_or_in_range(operator: Person, name: str) -> None:
    for value in (float("nan"), float("inf"), -1.0, 1e308, -(10**40), "many"):
        with pytest.raises(ValidationError) as error:
            services.save_many(operator, [("shop", "posts"), ("shop", "ads")], {name: value})
        assert name in error.value.message_dict, value
    assert not PolicyVersion.objects.exists()


@pytest.mark.usefixtures("posts", "static_files")
@pytest.mark.parametrize("seconds", [*TEXTS, "", "1e7", "9"])
def test_a_range_of_a_what_if_is_refused_at_its_field(operator: Person, seconds: str) -> None:
    client = Client()
    client.force_login(operator)
    answer = client.post(f"{PAGE}/what-if", {"timeout": "1 s", "seconds": seconds})
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["seconds"])
    assert re.search("from 10 to 2678400", answer.json()["errors"]["seconds"][0])
    assert client.get(f"{PAGE}/latency", {"seconds": seconds}).status_code == 400
    assert not Replay.objects.exists()


@pytest.mark.usefixtures("posts")
def test_a_plan_that_two_people_apply_is_applied_once(operator: Person) -> None:
    wanted = document("timeout", "1 s")
    base = documents.plan(operator, wanted)["base"]
    documents.apply(operator, wanted, "first", base)
    with pytest.raises(PolicyConflict):
        documents.apply(operator, document("timeout", "2 s"), "second", base)
    assert BreakerPolicy.objects.get().fields["timeout"] == 1.0
    assert PolicyVersion.objects.count() == 1
