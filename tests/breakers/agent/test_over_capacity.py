"""What the dashboard has no capacity for: said once, shown always, and no reason to do anything."""

from __future__ import annotations

import logging

import pytest

from breakers.protocol import messages as wire
from tests.breakers.agent.scripted import ScriptedLink, Talk


@pytest.fixture
def talk(caplog: pytest.LogCaptureFixture) -> Talk:
    caplog.set_level(logging.WARNING, "breakers.agent")
    return Talk()


def tell(talk: Talk, *names: str, revision: int = 1) -> None:
    talk.conversation.hear(wire.Desired(revision=revision, over_capacity=list(names)))


def test_it_is_in_the_status_and_in_the_log_and_nothing_is_sent_again(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    link = talk.connect()
    tell(talk, "posts", "users")
    sent = len(link.sent)
    tell(talk, "posts", "users")
    assert talk.counters.over_capacity == ("posts", "users")
    (said,) = caplog.messages
    assert "no capacity for 2 breakers of this process" in said
    assert "'posts', 'users'. 'shop' has as many as it watches" in said
    assert len(link.sent) == sent


def test_it_is_over_when_it_is_not_told_any_more(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    talk.connect()
    tell(talk, "posts")
    tell(talk)
    assert talk.counters.over_capacity == ()
    talk.clock.advance(600)
    tell(talk, "posts")
    assert len(caplog.messages) == 2, "it came back after a while: news"


def test_names_that_change_all_the_time_do_not_fill_the_log(
    talk: Talk, caplog: pytest.LogCaptureFixture
) -> None:
    talk.connect()
    for n in range(1200):
        tell(talk, f"user-{n}")
        talk.clock.advance(1)
    assert len(caplog.messages) == 2


def test_of_many_the_log_names_a_few(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    talk.connect()
    tell(talk, *(f"user-{n:02}" for n in range(wire.MAX_OVER_CAPACITY)))
    (said,) = caplog.messages
    assert "at least 32 breakers" in said
    assert "'user-04', …" in said
    assert len(talk.counters.over_capacity) == 32


def test_over_http_it_comes_with_each_answer(talk: Talk) -> None:
    link = ScriptedLink(window=1)
    link.answers = [wire.Received("b1", 1), wire.Desired(revision=1, over_capacity=["posts"])]
    talk.conversation.begin(link)
    assert talk.counters.over_capacity == ("posts",)
