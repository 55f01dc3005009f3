"""What the agent records and sends, and the bounds that it holds itself."""

from __future__ import annotations

import pytest

from breakers import CircuitBreaker
from breakers.agent.obedience import Obedience
from breakers.agent.recordings import Recordings, Speaker
from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS
from breakers.protocol.plausibility import check_recording
from tests.breakers.agent.scripted import ScriptedLink, Talk


def desired(talk: Talk, revision: int, *orders: wire.RecordingOrder) -> None:
    talk.conversation.hear(wire.Desired(revision, recordings=list(orders)))


def order(seconds: float = 600.0, breaker: str = "posts", id: str = "o1") -> wire.RecordingOrder:
    return wire.RecordingOrder(id, breaker, seconds)


def sent(link: ScriptedLink) -> list[wire.Recording]:
    return [each for each in link.sent if isinstance(each, wire.Recording)]


def call(talk: Talk, breaker: CircuitBreaker, seconds: float = 0.1, fails: bool = False) -> None:
    ticket, start = breaker.enter()
    talk.clock.advance(seconds)
    breaker.leave(ticket, start, OSError() if fails else None)


def test_a_trip_sends_the_calls_that_opened_the_breaker_behind_the_report() -> None:
    talk = Talk()
    posts = talk.breaker("posts", failure_threshold=2)
    link = talk.connect()
    desired(talk, 1)
    call(talk, posts, 0.5)
    call(talk, posts, 0.25, fails=True)
    call(talk, posts, 0.25, fails=True)
    talk.second()
    assert isinstance(link.sent[-2], wire.Report)
    (recording,) = sent(link)
    assert (recording.reason, recording.cause) == ("trip", "2 failures in a row")
    assert recording.offset_us == pytest.approx([-1_000_000, -500_000, -250_000], abs=2)
    assert recording.outcome == [0, 1, 1]
    assert recording.latency_us == pytest.approx([500_000, 250_000, 250_000], abs=2)
    assert recording.age_s == pytest.approx(1.0)
    for codec in CODECS:
        assert codec.from_agent(codec.encode(recording)) == recording


def test_a_dashboard_that_takes_no_recordings_gets_none() -> None:
    talk = Talk()
    posts = talk.breaker("posts", failure_threshold=1)
    link = talk.connect()
    talk.conversation.hear(wire.Desired(1))
    call(talk, posts, fails=True)
    talk.second()
    assert sent(link) == []


def test_a_breaker_that_is_ordered_sends_each_call_from_then_on() -> None:
    talk = Talk()
    posts, users = talk.breaker("posts", failure_threshold=2), talk.breaker("users")
    link = talk.connect()
    call(talk, posts)
    desired(talk, 1, order())
    for _ in range(3):
        call(talk, posts)
        call(talk, users)
    call(talk, posts, fails=True)
    talk.second(10)
    call(talk, posts, fails=True)
    with pytest.raises(Exception, match="open"):
        posts.call(int)
    talk.second(10)
    asked = [each for each in sent(link) if each.reason == "asked"]
    assert [each.outcome for each in asked] == [[0, 0, 0, 1], [1, 5]]
    assert {(each.breaker, each.id, each.lost) for each in asked} == {("posts", "o1", 0)}
    assert [each.first for each in asked] == [1, 5]
    # One start for all messages: the age grows by what passed.
    assert asked[1].age_s - asked[0].age_s == pytest.approx(10.1)


def test_an_order_that_is_withdrawn_ends_and_the_recorder_is_small_again() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    link = talk.connect()
    desired(talk, 1, order())
    call(talk, posts)
    desired(talk, 2)
    call(talk, posts)
    talk.second()
    assert [each.outcome for each in sent(link)] == [[0]]
    assert not posts._records_refusals


def test_a_recording_that_the_dashboard_never_ends_ends_at_the_agent() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    link = talk.connect()
    for revision in range(1, 701):
        desired(talk, revision, order(seconds=1e9))
        call(talk, posts, 0.0)
        talk.second()
        talk.confirm(link.reports[-1].seq)
    calls = sum(len(each.offset_us) for each in sent(link))
    assert calls in (600, 601)
    assert not posts._records_refusals


def test_a_recording_ends_at_its_bytes() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    made = Recordings(
        Speaker("shop", wire.Instance("web-1"), "b1"), talk.registry.all, talk.clock.monotonic
    )
    made.order([order()])
    made._orders["o1"].bytes_left = 120
    for _ in range(30):
        call(talk, posts)
    made.collect()
    made.collect()
    assert sum(len(each.offset_us) for each in made.take()) == 10
    made.order([order()])
    made.collect()
    assert not posts._records_refusals


def test_a_message_holds_4096_calls_and_what_waits_is_bounded() -> None:
    talk = Talk()
    posts = talk.breaker("posts")
    made = Recordings(
        Speaker("shop", wire.Instance("web-1"), "b1"), talk.registry.all, talk.clock.monotonic
    )
    made.order([order()])
    for _ in range(70_000):
        ticket, start = posts.enter()
        posts.leave(ticket, start)
    made.collect()
    messages = [each for _ in range(9) for each in made.take()]
    assert max(len(each.offset_us) for each in messages) == wire.MAX_RECORDED
    assert sum(len(each.offset_us) for each in messages) == 65_536
    assert messages[0].lost == 70_000 - 65_536
    assert max(len(codec.encode(messages[0])) for codec in CODECS) < wire.MAX_MESSAGE_BYTES


def test_an_order_for_the_service_records_every_breaker_within_its_memory() -> None:
    talk = Talk()
    breakers = [talk.breaker(f"b{n}") for n in range(900)]
    link = talk.connect()
    desired(talk, 1, order(breaker="*"))
    for _ in range(600):
        call(talk, breakers[0], 0.0)
    assert len(breakers[0].recorded_calls()) == 512
    assert all(each._records_refusals for each in breakers)
    talk.second(10)
    assert [each.breaker for each in sent(link)] == ["b0"]


def test_a_process_that_only_reports_records_nothing_on_order() -> None:
    talk = Talk()
    talk.applier._obedience = Obedience(report_only=True)
    made = Recordings(
        Speaker("shop", wire.Instance("web-1"), "b1"),
        talk.registry.all,
        talk.clock.monotonic,
        talk.applier.records,
    )
    posts = talk.breaker("posts")
    made.order([order()])
    call(talk, posts)
    made.collect()
    assert made.take() == []


@pytest.mark.parametrize("field", ["outcome", "latency_us", "attempt"])
def test_arrays_of_different_length_are_refused_by_name(field: str) -> None:
    arrays = {"offset_us": [0], "outcome": [0], "latency_us": [1], "attempt": [1], field: [1, 1]}
    recording = wire.Recording("s", "i", "b", "posts", "trip", "t", 0.0, **arrays)  # type: ignore[arg-type]
    with pytest.raises(wire.WireError, match=rf"\$\.{field}: 2 values for 1 calls"):
        check_recording(recording)
