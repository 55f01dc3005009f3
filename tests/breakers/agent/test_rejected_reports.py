"""A report that is refused for good is found, given up and counted; the rest goes on."""

from __future__ import annotations

import pytest

from breakers.agent.links import LinkLost
from breakers.protocol import messages as wire
from tests.breakers.agent.scripted import ScriptedLink, Talk, counted

INVALID = wire.Refused("invalid", "bad", "$.breakers[0]")


def refuse(talk: Talk, refused: wire.Refused = INVALID) -> None:
    with pytest.raises(LinkLost):
        talk.conversation.hear(refused)
    talk.conversation.end()


def test_a_refusal_that_names_the_report_drops_that_one() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    talk.connect()
    posts.call(len, "four")
    talk.second()
    talk.second()
    refuse(talk, wire.Refused("invalid", "bad", seq=2))
    assert [report.seq for report in talk.connect().reports] == [1, 3, 4]
    assert (talk.counters.reports_dropped, talk.counters.calls_dropped) == (1, 1)


def test_the_only_report_under_way_is_the_one_that_is_meant() -> None:
    talk = Talk()
    talk.connect()
    refuse(talk)
    assert [report.seq for report in talk.connect().reports] == [2]


def test_of_many_the_culprit_is_found_one_by_one_and_nothing_else_is_lost() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    told: list[wire.Report] = []
    link = talk.connect()
    for _ in range(6):
        posts.call(len, "four")
        talk.second()
    refuse(talk)
    safe = 0
    for _ in range(40):
        link = talk.connect()
        while link.reports and safe < (newest := link.reports[-1]).seq:
            if newest.seq == 4:
                refuse(talk)
                break
            told.append(newest)
            safe = newest.seq
            talk.confirm(safe)
        else:
            break
    assert talk.counters.reports_dropped == 1
    assert talk.counters.calls_dropped == 1
    assert counted(told, "posts") == 5
    assert len(talk.outbox) == 0


def test_a_refused_acknowledgement_is_not_sent_again_for_that_revision() -> None:
    talk = Talk()
    talk.breaker("posts")

    def connect_and_hear(revision: int) -> ScriptedLink:
        link = talk.connect()
        talk.conversation.hear(wire.Desired(revision=revision))
        return link

    link = connect_and_hear(5)
    assert len(link.acks) == 1
    refuse(talk)
    link = connect_and_hear(5)
    assert link.acks == []
    talk.confirm(link.reports[0].seq)
    talk.confirm(link.reports[-1].seq)
    talk.second()
    assert len(link.acks) == 1
    refuse(talk)
    link = connect_and_hear(5)
    assert link.acks == []
    assert talk.counters.reports_dropped == 0
    talk.conversation.hear(wire.Desired(revision=6))
    assert len(link.acks) == 1


@pytest.mark.parametrize("code", ["unauthenticated", "forbidden", "unknown_version", "busy", "x"])
def test_a_refusal_of_the_speaker_drops_nothing(code: str) -> None:
    talk = Talk()
    talk.connect()
    refuse(talk, wire.Refused(code, "no"))
    assert [report.seq for report in talk.connect().reports] == [1, 2]
    assert talk.counters.reports_dropped == 0
