"""What the agent says, when, and what it makes of the answers; no socket, no thread, no waiting."""

from __future__ import annotations

import contextlib

import pytest

from breakers import State
from breakers.agent.links import LinkLost
from breakers.protocol import messages as wire
from tests.breakers.agent.scripted import Talk, counted


def test_a_connection_begins_with_every_breaker_its_state_and_its_policy() -> None:
    talk = Talk()
    talk.breaker("posts", failure_threshold=7)
    talk.breaker("users")
    link = talk.connect()
    (report,) = link.reports
    assert (report.service, report.instance.id, report.boot, report.seq) == (
        "shop",
        "web-1",
        "b1",
        1,
    )
    assert [(each.name, each.state) for each in report.breakers] == [
        ("posts", "closed"),
        ("users", "closed"),
    ]
    policy = report.breakers[0].policy
    assert policy is not None
    assert policy["failure_threshold"] == 7


def test_each_interval_tells_only_the_breakers_that_changed() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    talk.breaker("users")
    link = talk.connect()
    posts.call(len, "four")
    talk.second()
    report = link.reports[-1]
    assert [each.name for each in report.breakers] == ["posts"]
    assert report.breakers[0].counts.success == 1
    assert report.breakers[0].policy is None


def test_nothing_new_is_told_too_as_a_heartbeat() -> None:
    talk = Talk()
    talk.breaker("posts")
    link = talk.connect()
    talk.second()
    talk.second()
    assert [report.seq for report in link.reports] == [1, 2, 3]
    assert [report.breakers for report in link.reports[1:]] == [[], []]


def test_a_tick_before_its_time_says_nothing() -> None:
    talk = Talk()
    link = talk.connect()
    talk.second(0.9)
    assert len(link.reports) == 1


def test_the_server_sets_the_interval_within_bounds() -> None:
    talk = Talk()
    talk.connect()
    for asked, given in ((10.0, 10.0), (0.001, 0.25), (86_400.0, 300.0)):
        talk.conversation.hear(wire.Desired(revision=1, interval_s=asked))
        assert talk.conversation.interval_s == given


def test_a_report_that_was_not_confirmed_is_sent_again_unchanged_and_in_order() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    first = talk.connect()
    posts.call(len, "four")
    talk.second()
    talk.confirm(1)
    talk.second()
    talk.conversation.end()
    talk.clock.advance(5.0)
    second = talk.connect()
    again = {report.seq: report for report in second.reports}
    assert list(again) == [2, 3, 4]
    assert again[2].breakers == first.reports[1].breakers
    assert again[2].age_s == pytest.approx(first.reports[1].age_s + 6.0)


def test_counts_arrive_exactly_once_over_many_broken_links() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    told = []
    for n in range(20):
        link = talk.connect()
        for _ in range(n):
            posts.call(len, "four")
        talk.second()
        if n % 3 == 0:
            talk.confirm(link.reports[0].seq)
        link.broken = n % 2 == 0
        posts.call(len, "four")
        talk.clock.advance(1.0)
        with contextlib.suppress(LinkLost):
            talk.conversation.tick()
        talk.conversation.end()
        told += link.reports
    told += talk.connect().reports
    assert counted(told, "posts") == sum(range(20)) + 20


def test_an_unsent_report_may_be_merged_a_sent_one_never() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    link = talk.connect()
    talk.conversation.end()
    for _ in range(3600):
        posts.call(len, "four")
        talk.second()
    assert len(talk.outbox) < 130
    link = talk.connect()
    assert counted(link.reports, "posts") == 3600
    assert link.reports[0].interval_s == 1e-3
    ages = [report.age_s for report in link.reports]
    assert ages == sorted(ages, reverse=True)
    assert max(report.interval_s for report in link.reports) <= 60.0


def test_what_confirms_nothing_of_ours_is_ignored() -> None:
    talk = Talk()
    talk.connect()
    talk.conversation.hear(wire.Received("another boot", 1))
    assert len(talk.outbox) == 1
    talk.confirm(0)
    assert len(talk.outbox) == 1
    talk.confirm(2**53)
    assert len(talk.outbox) == 0
    talk.second()
    assert len(talk.outbox) == 1


def test_confirmations_out_of_order_do_no_harm() -> None:
    talk = Talk()
    talk.connect()
    for _ in range(5):
        talk.second()
    talk.confirm(4)
    talk.confirm(2)
    assert [each.seq for each in talk.outbox.under_way()] == [5, 6]


def test_a_dashboard_that_confirms_nothing_for_a_minute_is_left() -> None:
    talk = Talk()
    talk.connect()
    for _ in range(60):
        talk.second()
    with pytest.raises(LinkLost, match="no report was confirmed"):
        talk.second()


def test_too_much_under_way_waits_and_is_merged() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    link = talk.connect(window=2)
    for _ in range(5):
        posts.call(len, "four")
        talk.second()
    assert [report.seq for report in link.reports] == [1, 2]
    talk.confirm(2)
    assert [report.seq for report in link.reports] == [1, 2, 3, 4]


def test_a_desired_state_is_applied_acknowledged_and_reported() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    link = talk.connect()
    talk.conversation.hear(
        wire.Desired(revision=4, overrides=[wire.Override("o1", "posts", "forced_open")])
    )
    assert posts.state is State.FORCED_OPEN
    (ack,) = link.acks
    assert (ack.service, ack.instance, ack.revision) == ("shop", "web-1", 4)
    assert ack.items == [wire.AckItem("override", "posts", "applied", "o1")]
    assert talk.conversation.due_in() <= 0.25
    talk.second(0.25)
    report = link.reports[-1]
    assert (report.revision, report.breakers[0].state) == (4, "forced_open")
    assert [each.to for each in report.breakers[0].transitions] == ["forced_open"]


def test_what_is_refused_is_acknowledged_with_the_reason() -> None:
    talk = Talk()
    talk.breaker("posts")
    link = talk.connect()
    talk.conversation.hear(
        wire.Desired(
            revision=1,
            overrides=[wire.Override("o1", "posts", "ajar")],
            policies=[wire.PolicyItem("posts", {"retries": 0})],
        )
    )
    policy, override = link.acks[0].items
    assert (policy.kind, policy.status) == ("policy", "refused")
    assert policy.reason == "retries is 0; it must be a whole number from 1 to 20"
    assert (override.kind, override.status, override.id) == ("override", "refused", "o1")
    assert "'ajar' is no override" in override.reason


def test_an_older_revision_is_late_on_the_same_link() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    talk.connect()
    forced = [wire.Override("o1", "posts", "forced_open")]
    talk.conversation.hear(wire.Desired(revision=9, overrides=forced))
    talk.conversation.hear(wire.Desired(revision=8))
    assert posts.state is State.FORCED_OPEN


def test_the_first_desired_state_of_a_fresh_link_wins_whatever_its_revision() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    talk.connect()
    forced = [wire.Override("o1", "posts", "forced_open")]
    talk.conversation.hear(wire.Desired(revision=9, overrides=forced))
    talk.conversation.end()
    link = talk.connect()
    talk.conversation.hear(wire.Desired(revision=1))
    assert posts.state is State.HALF_OPEN
    assert link.acks[0].revision == 1


def test_the_desired_state_is_kept_when_it_changes() -> None:
    talk = Talk()
    talk.connect()
    talk.conversation.hear(wire.Desired(revision=3))
    talk.conversation.hear(wire.Desired(revision=3))
    assert [each.revision for each in talk.kept] == [3]


def test_an_item_for_a_breaker_to_come_is_acknowledged_when_it_is_made() -> None:
    talk = Talk()
    link = talk.connect()
    forced = [wire.Override("o1", "posts", "forced_open")]
    talk.conversation.hear(wire.Desired(revision=2, overrides=forced))
    assert link.acks[0].items == []
    posts = talk.breaker("posts")
    assert posts.state is State.FORCED_OPEN
    talk.second()
    assert link.acks[1].items == [wire.AckItem("override", "posts", "applied", "o1")]


def test_over_http_what_has_piled_up_goes_together() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    talk.conversation.end()
    for _ in range(200):
        posts.call(len, "four")
        talk.second()
    link = talk.connect(window=1)
    for seq in range(1, 9):
        talk.confirm(seq)
    assert 4 <= len(link.reports) <= 8
    assert all(report.interval_s <= 60 for report in link.reports)
    assert counted(link.reports, "posts") == 200


def test_over_http_receipts_slower_than_the_pace_leave_no_backlog() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    link = talk.connect(window=1)
    for seq in range(1, 30):
        for _ in range(3):
            posts.call(len, "four")
            talk.second()
        talk.confirm(seq)
    assert len(talk.outbox) == 1
    assert link.reports[-1].age_s == 0
    assert counted(link.reports, "posts") == 29 * 3


def test_over_http_a_backlog_does_not_hold_up_collecting() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    talk.conversation.end()
    for _ in range(100):
        posts.call(len, "four")
        talk.second()
    link = talk.connect(window=1)
    assert [report.seq for report in link.reports] == [1]
    talk.confirm(1)
    assert [report.seq for report in link.reports] == [1, 2]
