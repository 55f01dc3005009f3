"""Firings become incidents, and incidents become messages, once."""

from __future__ import annotations

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from dashboard.access.models import Person
from dashboard.alerts import delivery, outbox, services
from dashboard.alerts.cause import Graph
from dashboard.alerts.evaluation import Change
from dashboard.alerts.impact import Impact
from dashboard.alerts.incidents import CALM_S, REST_S, Outcome, apply
from dashboard.alerts.models import (
    Channel,
    Firing,
    Incident,
    Marker,
    OutboxMessage,
    Route,
    Rule,
    Silence,
)
from dashboard.alerts.rule_kinds import DEFAULT_RULES

pytestmark = pytest.mark.django_db
NOW = 1_800_000_000.0
WEB, USERS, POSTS = ("web", "profile-api"), ("profile-api", "users-db"), ("profile-api", "posts")
NODES = [WEB, USERS, POSTS, *((f"s{n}", "db") for n in range(40))]


def fire(*nodes: tuple[str, str], at: float = NOW, rule: str = "Open") -> Outcome:
    id = Rule.objects.get(name=rule).pk
    changes = [Change(True, id, node, at - 5, at) for node in nodes]
    return apply(changes, Graph(NODES), lambda node: Impact(open=2, instances=4), at)


def end(*nodes: tuple[str, str], at: float, rule: str = "Open") -> Outcome:
    id = Rule.objects.get(name=rule).pk
    changes = [Change(False, id, node, NOW, at) for node in nodes]
    return apply(changes, Graph(NODES), lambda node: Impact(), at)


@pytest.fixture
def route() -> Route:
    channel = Channel.objects.create(name="ops", kind="webhook", url="http://127.0.0.1:1/")
    return Route.objects.create(name="all", channel=channel, min_severity="info")


def test_sane_rules_exist_from_the_migration() -> None:
    assert Rule.objects.filter(enabled=True).count() == len(DEFAULT_RULES)


class TestGrouping:
    def test_a_cascade_is_one_incident_with_the_first_cause_first(self) -> None:
        fire(POSTS, at=NOW)
        fire(USERS, at=NOW + 50)
        fire(WEB, at=NOW + 55)
        (incident,) = Incident.objects.all()
        assert (incident.service, incident.breaker) == POSTS
        assert incident.headline.startswith("posts failing for profile-api on 2 of 4 instances")
        assert "web → profile-api" in incident.headline
        assert "profile-api/users-db" in incident.headline
        assert incident.firings.count() == 3

    @pytest.mark.parametrize("other", ["Error budget burning", "Retry amplification"])
    def test_what_went_wrong_before_anything_tripped_is_no_first_cause(self, other: str) -> None:
        fire(POSTS, at=NOW)
        # It is told late, and began before: whole minutes are looked at.
        fire(USERS, at=NOW - 20, rule=other)
        fire(USERS, at=NOW + 20)
        incident = Incident.objects.get()
        assert (incident.service, incident.breaker) == POSTS
        assert incident.began == NOW - 5
        assert "also profile-api/users-db" in incident.headline

    def test_without_a_trip_what_began_first_is_the_first_cause(self) -> None:
        fire(USERS, at=NOW, rule="Error budget burning")
        fire(POSTS, at=NOW + 30, rule="Retry amplification")
        incident = Incident.objects.get()
        assert (incident.service, incident.breaker) == USERS

    def test_what_fires_after_a_rest_is_an_incident_with_its_own_first_cause(self) -> None:
        fire(USERS, at=NOW)
        end(USERS, at=NOW + 5)
        (again,) = fire(POSTS, at=NOW + 5 + REST_S).opened
        fire(USERS, at=NOW + 70)
        again.refresh_from_db()
        assert (again.service, again.breaker) == POSTS
        assert again.firings.count() == 2

    def test_what_fires_again_before_a_rest_keeps_its_row(self) -> None:
        fire(POSTS, at=NOW)
        end(POSTS, at=NOW + 5)
        assert fire(POSTS, at=NOW + 4 + REST_S).opened == []
        firing = Firing.objects.get()
        assert (firing.times, firing.ended) == (2, None)

    def test_what_comes_and_goes_is_told_once_and_counted(self) -> None:
        for n in range(10):
            fire(POSTS, at=NOW + 10 * n)
            end(POSTS, at=NOW + 10 * n + 5)
        incident = Incident.objects.get()
        assert incident.firings.get().times == 10
        told = list(incident.events.values_list("text", flat=True))
        assert told == [
            "Open: profile-api/posts", "Open: profile-api/posts ended",
            "Open: profile-api/posts again",
        ]  # fmt: skip

    def test_what_comes_back_soon_after_it_was_resolved_calls_nobody(self) -> None:
        fire(POSTS, at=NOW)
        incident = Incident.objects.get()
        Incident.objects.filter(pk=incident.pk).update(ended=NOW + 10)
        end(POSTS, at=NOW + 11)
        back = fire(POSTS, at=NOW + 15)
        late = fire(POSTS, at=NOW + 20, rule="Error budget burning")
        assert [*back.opened, *back.worsened, *late.opened, *late.worsened] == []
        incident.refresh_from_db()
        assert incident.ended == NOW + 10
        assert incident.firings.count() == 2

    def test_another_breaker_or_a_later_time_is_a_new_incident(self) -> None:
        fire(POSTS, at=NOW)
        Incident.objects.update(ended=NOW + 10)
        end(POSTS, at=NOW + 11)
        assert len(fire(USERS, at=NOW + 15).opened) == 1
        Incident.objects.update(ended=NOW + 16)
        assert len(fire(POSTS, at=NOW + 17 + REST_S).opened) == 1

    def test_breakers_that_nothing_links_are_incidents_of_their_own(self) -> None:
        fire(POSTS)
        fire(("s1", "db"), at=NOW + 100)
        assert Incident.objects.count() == 2

    def test_a_flood_is_one_incident(self) -> None:
        fire(*(each for each in NODES if each[0].startswith("s")))
        assert Incident.objects.count() == 1
        assert Firing.objects.count() == 40

    def test_a_firing_that_is_told_again_changes_nothing(self) -> None:
        fire(POSTS)
        outcome = fire(POSTS, at=NOW + 1)
        assert outcome.opened == []
        assert Firing.objects.count() == 1

    def test_it_closes_after_calm(self) -> None:
        fire(POSTS)
        end(POSTS, at=NOW + 100)
        assert apply([], Graph(NODES), lambda node: Impact(), NOW + 110).closed == []
        (closed,) = apply([], Graph(NODES), lambda node: Impact(), NOW + 101 + CALM_S).closed
        assert closed.ended == NOW + 100

    def test_a_firing_within_the_calm_keeps_it_open(self) -> None:
        fire(POSTS)
        end(POSTS, at=NOW + 100)
        fire(POSTS, at=NOW + 120)
        assert apply([], Graph(NODES), lambda node: Impact(), NOW + 200).closed == []
        assert Incident.objects.count() == 1

    def test_a_deploy_before_is_named(self) -> None:
        Marker.objects.create(at=NOW - 60, service="profile-api", text="deploy of v124", key="k")
        fire(POSTS)
        assert any("deploy of v124" in each for each in Incident.objects.get().why)

    def test_where_a_breaker_is_open_is_kept_with_the_firing(self) -> None:
        id = Rule.objects.get(kind="disagreement").pk
        split = Impact(open=2, instances=4, only_on="v124")
        apply([Change(True, id, POSTS, NOW - 5, NOW)], Graph(NODES), lambda node: split, NOW)
        assert Firing.objects.get().detail == "only on v124"
        assert ", only on v124" in Incident.objects.get().headline


class TestMessages:
    def test_one_message_for_each_route_however_often_it_is_announced(self, route: Route) -> None:
        (incident,) = fire(POSTS).opened
        assert outbox.announce(incident, "opened", NOW) == 1
        assert outbox.announce(incident, "opened", NOW + 1) == 0
        message = OutboxMessage.objects.get()
        assert message.title == incident.headline
        assert f"/incidents/{incident.pk}?ack=" in message.body

    def test_a_route_takes_its_severity_and_services_only(self, route: Route) -> None:
        route.service = "web"
        route.save()
        (incident,) = fire(POSTS).opened
        assert outbox.announce(incident, "opened", NOW) == 0
        route.service, route.min_severity = "", "critical"
        route.save()
        (mild,) = fire(("s1", "db"), rule="Flapping", at=NOW + 100).opened
        assert outbox.announce(mild, "opened", NOW) == 0

    def test_a_silence_sends_nothing_until_it_ends(self, route: Route) -> None:
        Silence.objects.create(
            service="profile-api", reason="a drill", by="ann", starts=NOW - 1, ends=NOW + 60
        )
        (incident,) = fire(POSTS).opened
        assert outbox.announce(incident, "opened", NOW) == 0
        assert outbox.announce(incident, "opened", NOW + 61) == 1

    def test_quiet_hours_delay_what_is_not_critical(self, route: Route) -> None:
        route.quiet_from, route.quiet_to = 0, 23
        route.save()
        (mild,) = fire(POSTS, rule="Flapping").opened
        outbox.announce(mild, "opened", NOW)
        assert OutboxMessage.objects.get().due > NOW
        (critical,) = fire(("s1", "db"), at=NOW + 100).opened
        outbox.announce(critical, "opened", NOW)
        assert OutboxMessage.objects.filter(due=NOW).count() == 1

    def test_an_escalation_is_dropped_once_somebody_has_acknowledged(
        self, route: Route, operator: Person
    ) -> None:
        route.escalate_after_s = 300
        route.save()
        (incident,) = fire(POSTS).opened
        outbox.announce(incident, "opened", NOW)
        assert delivery.deliver_due(NOW + 299) == 0
        services.acknowledge(incident.pk, operator)
        assert delivery.deliver_due(NOW + 301) == 1
        assert OutboxMessage.objects.get().outcome == "not needed"

    def test_a_failed_delivery_is_kept_and_marks_the_channel(self, route: Route) -> None:
        (incident,) = fire(POSTS).opened
        outbox.announce(incident, "opened", NOW)
        assert delivery.deliver_due(NOW) == 1
        message = OutboxMessage.objects.get()
        assert message.finished is None
        assert message.due > NOW
        assert "inside the network" in message.error
        assert [each.name for each in outbox.failing_channels()] == ["ops"]

    def test_a_message_that_another_process_has_claimed_is_left_to_it(self, route: Route) -> None:
        (incident,) = fire(POSTS).opened
        outbox.announce(incident, "opened", NOW)
        OutboxMessage.objects.update(claimed_until=NOW + delivery.CLAIM_S)
        assert delivery.deliver_due(NOW) == 0
        assert delivery.deliver_due(NOW + delivery.CLAIM_S + 1) == 1

    def test_a_link_allows_its_own_incident_only(self) -> None:
        (one,), (other,) = fire(POSTS).opened, fire(("s1", "db"), at=NOW + 100).opened
        token = outbox.link(one).partition("ack=")[2]
        assert outbox.is_link_of(one, token)
        assert not outbox.is_link_of(other, token)
        assert not outbox.is_link_of(one, token + "x")

    def test_a_route_added_during_an_incident_is_told_of_it_once(self, route: Route) -> None:
        (incident,) = fire(POSTS).opened
        outbox.announce(incident, "opened", NOW)
        assert outbox.announce_to_new_routes(NOW + 5) == 0
        late = Route.objects.create(name="late", channel=route.channel)
        assert outbox.announce_to_new_routes(NOW + 10) == 1
        assert outbox.announce_to_new_routes(NOW + 15) == 0
        assert OutboxMessage.objects.get(key__endswith=f":{late.pk}").kind == "opened"

    def test_a_route_of_another_service_is_told_when_the_incident_reaches_it(
        self, route: Route
    ) -> None:
        route.service = "web"
        route.save()
        (incident,) = fire(POSTS).opened
        assert outbox.announce(incident, "opened", NOW) == 0
        fire(WEB, at=NOW + 50)
        assert outbox.announce_to_new_routes(NOW + 50) == 1


class TestPeople:
    def test_who_may_not_operate_may_not_acknowledge(self, viewer: Person) -> None:
        (incident,) = fire(POSTS).opened
        with pytest.raises(PermissionDenied):
            services.acknowledge(incident.pk, viewer)

    def test_an_acknowledgement_counts_once(self, operator: Person) -> None:
        (incident,) = fire(POSTS).opened
        assert services.acknowledge(incident.pk, operator)
        assert not services.acknowledge(incident.pk, operator)

    def test_merging_and_splitting_move_firings(self, operator: Person) -> None:
        (one,), (other,) = fire(POSTS, USERS).opened, fire(("s1", "db"), at=NOW + 100).opened
        services.merge(other.pk, operator, one.pk)
        assert one.firings.count() == 3
        new = services.split(one.pk, operator, [one.firings.get(service="s1").pk])
        assert new.firings.count() == 1
        with pytest.raises(ValidationError, match="not all"):
            services.split(new.pk, operator, [new.firings.get().pk])

    def test_a_rule_that_could_never_fire_is_refused_at_its_field(
        self, django_user_model: type[Person]
    ) -> None:
        admin = django_user_model.objects.create_superuser("root")
        wrong = Rule(name="x", kind="open_share", params={"share_pct": 101}, severity="info")
        with pytest.raises(ValidationError) as caught:
            services.save_rule(admin, wrong)
        assert "could never fire" in caught.value.message_dict["share_pct"][0]

    def test_a_marker_is_stored_once_for_each_key(self, operator: Person) -> None:
        first = services.add_marker(operator, text="deploy", service="shop", key="run-7")
        again = services.add_marker(operator, text="deploy", service="shop", key="run-7")
        assert (first[1], again[1]) == (True, False)
        with pytest.raises(ValidationError, match="Unix time"):
            services.add_marker(operator, text="deploy", service="shop", at=5.0)
