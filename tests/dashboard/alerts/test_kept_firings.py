"""What a rule has found outlives the rule, however it is deleted."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dashboard.access.models import Person
from dashboard.access.people import keep_team
from dashboard.alerts import documents, services
from dashboard.alerts.cause import Graph
from dashboard.alerts.impact import Impact
from dashboard.alerts.incidents import CALM_S, apply
from dashboard.alerts.models import Firing, Incident, Rule
from dashboard.alerts.postmortem import postmortem
from tests.dashboard.alerts.test_incidents import NODES, NOW, POSTS, fire

pytestmark = pytest.mark.django_db
Delete = Callable[[Person, Rule], object]


def by_document(person: Person, rule: Rule) -> None:
    document = documents.export(person, NOW)
    del document["rules"][rule.name]
    documents.apply(person, {"rules": document["rules"]}, "less", now=NOW)


def with_its_team(person: Person, rule: Rule) -> None:
    rule.team = keep_team(person, "shop", ["profile-api"])
    rule.save()
    assert rule.team is not None
    rule.team.delete()


@pytest.mark.parametrize(
    "delete", [services.delete_rule, by_document, with_its_team], ids=["rule", "document", "team"]
)
def test_its_firings_stay_in_the_incident_and_end(
    delete: Delete, django_user_model: type[Person]
) -> None:
    root = django_user_model.objects.create_superuser("root")
    fire(POSTS)
    delete(root, Rule.objects.get(name="Open"))
    assert not Rule.objects.filter(name="Open").exists()
    firing = Firing.objects.get()
    assert (firing.rule, firing.rule_name, firing.ended) == (None, "Open", None)
    apply([], Graph(NODES), lambda node: Impact(), NOW + 10)
    firing.refresh_from_db()
    assert firing.ended == NOW + 10
    (closed,) = apply([], Graph(NODES), lambda node: Impact(), NOW + 11 + CALM_S).closed
    assert closed.ended == NOW + 10
    assert "| profile-api/posts | Open |" in postmortem(Incident.objects.get(), True)
