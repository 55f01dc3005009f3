"""Who else has a breaker open: in one process, and told by others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from dashboard.api.browsers.presence import OpenWindow, Presence
from dashboard.bus.memory import MemoryBus

POSTS, USERS = ("shop", "posts"), ("shop", "users")


class Window:
    """A browser window, and what it was told last."""

    def __init__(self, of: Presence, person: str) -> None:
        self._of = of
        self._person = person
        self._socket = of.enter()
        self.heard = 0
        self.people: list[tuple[str, str, str]] = []

    def opens(self, *targets: tuple[str, str], doing: str = "looking") -> None:
        self._of.set(self._socket, OpenWindow(self._person, doing, targets), self._hear)

    def closes(self) -> None:
        self._of.leave(self._socket)

    def _hear(self, text: str) -> None:
        self.heard += 1
        said: dict[str, Any] = json.loads(text)
        self.people = [(p["person"], p["doing"], p["breaker"]) for p in said["people"]]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


async def test_people_at_one_breaker_hear_of_each_other(bus: MemoryBus) -> None:
    presence = Presence(lambda: bus)
    ann, bob, eve = (Window(presence, name) for name in ("ann", "bob", "eve"))
    ann.opens(POSTS)
    await until(lambda: ann.heard == 1)
    assert ann.people == []
    bob.opens(POSTS)
    eve.opens(USERS)
    await until(lambda: ann.people == [("bob", "looking", "posts")])
    assert bob.people == [("ann", "looking", "posts")]
    assert (eve.heard, eve.people) == (1, [])
    bob.opens(POSTS, USERS, doing="force-open")
    await until(lambda: ann.people == [("bob", "force-open", "posts")])
    assert eve.people == [("bob", "force-open", "users")]
    bob.closes()
    await until(lambda: ann.people == [] and eve.people == [])


async def test_who_is_about_to_act_comes_first_and_ones_own_windows_are_left_out(
    bus: MemoryBus,
) -> None:
    presence = Presence(lambda: bus)
    ann, again = Window(presence, "ann"), Window(presence, "ann")
    for name in ("bob", "carl"):
        Window(presence, name).opens(POSTS)
    Window(presence, "dora").opens(POSTS, doing="force-closed")
    again.opens(POSTS)
    ann.opens(POSTS)
    await until(lambda: [person for person, _, _ in ann.people] == ["dora", "bob", "carl"])


async def test_the_list_is_bounded(bus: MemoryBus) -> None:
    presence = Presence(lambda: bus)
    for number in range(50):
        Window(presence, f"p{number:02d}").opens(POSTS)
    ann = Window(presence, "ann")
    ann.opens(POSTS)
    await until(lambda: len(ann.people) == 20)


async def test_other_processes_are_told_and_forgotten_when_they_fall_silent(
    bus: MemoryBus,
) -> None:
    clock = 0.0
    one, other = Presence(lambda: bus, lambda: clock), Presence(lambda: bus)
    ann, bob = Window(one, "ann"), Window(other, "bob")
    ann.opens(POSTS)
    bob.opens(POSTS, doing="force-open")
    await until(lambda: ann.people == [("bob", "force-open", "posts")])
    clock = 16.0
    one.forget_silent()
    await until(lambda: ann.people == [])
    bob.opens(POSTS)
    await until(lambda: ann.people == [("bob", "looking", "posts")])
    bob.closes()
    await until(lambda: ann.people == [])


async def test_what_has_not_changed_is_not_told_again(bus: MemoryBus) -> None:
    presence = Presence(lambda: bus)
    ann, bob = Window(presence, "ann"), Window(presence, "bob")
    ann.opens(POSTS)
    bob.opens(POSTS)
    await until(lambda: ann.people == [("bob", "looking", "posts")])
    heard = ann.heard
    bob.opens(POSTS)
    eve = Window(presence, "eve")
    eve.opens(USERS)
    await until(lambda: eve.heard == 1)
    assert ann.heard == heard


async def test_a_window_that_changes_all_the_time_does_not_flood_the_others(
    bus: MemoryBus,
) -> None:
    presence = Presence(lambda: bus)
    ann, bob = Window(presence, "ann"), Window(presence, "bob")
    ann.opens(POSTS)
    for _ in range(500):
        bob.opens(POSTS, doing="force-open")
        bob.opens(POSTS)
    bob.opens(POSTS, doing="force-closed")
    await until(lambda: ann.people == [("bob", "force-closed", "posts")])
    assert ann.heard == 1
