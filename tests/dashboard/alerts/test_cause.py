"""The first cause of a cascade is the breaker that explains the others."""

from benchmarks.cause import accuracy
from dashboard.alerts.cause import Event, Graph, Tripped, first_cause
from dashboard.alerts.observations import InstanceFacts
from dashboard.alerts.splits import open_only_on, split

WEB, USERS, POSTS = ("web", "profile-api"), ("profile-api", "users-db"), ("profile-api", "posts")
GRAPH = Graph([WEB, USERS, POSTS, ("other", "mail")])


def test_a_breaker_explains_those_whose_calls_lead_to_it() -> None:
    found = first_cause([Tripped(WEB, 110.0), Tripped(USERS, 100.0)], GRAPH)
    assert found.first.node == USERS
    assert [each.node for each in found.symptoms] == [WEB]
    assert "tripped first" in found.why
    assert "1 of 1 other breakers depend on it" in found.why


def test_a_late_report_does_not_make_the_caller_the_cause() -> None:
    found = first_cause([Tripped(WEB, 100.0), Tripped(USERS, 101.5)], GRAPH)
    assert found.first.node == USERS


def test_of_two_dependencies_the_earlier_one_is_first() -> None:
    tripped = [Tripped(USERS, 150.0), Tripped(POSTS, 100.0), Tripped(WEB, 160.0)]
    assert first_cause(tripped, GRAPH).first.node == POSTS


def test_a_deploy_shortly_before_is_a_reason() -> None:
    deploy = Event(70.0, "profile-api", "deploy of profile-api v124")
    found = first_cause([Tripped(POSTS, 100.0, only_on="v124")], GRAPH, [deploy])
    assert "30 s after deploy of profile-api v124" in found.why
    assert "open only on v124" in found.why


def test_relations_follow_call_paths_and_common_callers() -> None:
    assert GRAPH.linked({WEB}, {USERS})
    assert GRAPH.linked({USERS}, {WEB})
    assert GRAPH.linked({USERS}, {POSTS})
    assert not GRAPH.linked({WEB, USERS}, {("other", "mail")})


def test_a_cycle_of_services_ends() -> None:
    graph = Graph([("a", "b"), ("b", "a")])
    found = first_cause([Tripped(("a", "b"), 1.0), Tripped(("b", "a"), 9.0)], graph)
    assert found.first.node == ("a", "b")


def test_most_simulated_cascades_are_attributed_to_their_root() -> None:
    assert accuracy(200, seed=2) >= 180


def test_a_split_by_version_or_zone_is_said() -> None:
    instances = [
        InstanceFacts("open", 0, "v124", "eu"),
        InstanceFacts("closed", 0, "v123", "eu"),
        InstanceFacts("closed", 0, "v123", "us"),
    ]
    assert open_only_on(instances) == "v124"
    assert split(instances, "version") == {"v124": (1, 1), "v123": (0, 2)}
    instances[0] = InstanceFacts("open", 0, "v123", "eu-west")
    assert open_only_on(instances) == "zone eu-west"
    assert open_only_on(instances[1:]) == ""
