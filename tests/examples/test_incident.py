"""The script of the incident."""

import pytest

from breakers.testing import FakeClock
from examples.shop.behaviour import NORMAL
from examples.shop.incident import SCRIPT, Incident


def test_without_an_incident_all_is_normal() -> None:
    incident = Incident(clock=FakeClock())
    assert not incident.running
    assert incident.phase is None
    assert incident.behaviours() == NORMAL
    assert incident.volume == 1.0


def test_it_begins_with_slow_posts_and_more_traffic_at_once() -> None:
    incident = Incident(clock=FakeClock())
    incident.start()
    assert incident.phase == 0
    assert incident.behaviours()["posts"].at(-3.0) > 0.5
    assert incident.behaviours()["users-db"] == NORMAL["users-db"]
    assert incident.volume == pytest.approx(1.4)


def test_each_phase_adds_to_those_before() -> None:
    clock = FakeClock()
    incident = Incident(clock=clock)
    incident.start()
    clock.advance(SCRIPT[-1].at_s)
    wanted = incident.behaviours()
    assert incident.phase == len(SCRIPT) - 1
    assert wanted["users-db"].median == 4.0
    assert wanted["posts"].errors > 0.9
    assert wanted["social"].corrupt > 0


def test_a_quicker_pace_reaches_the_phases_sooner() -> None:
    clock = FakeClock()
    incident = Incident(pace=10.0, clock=clock)
    incident.start()
    clock.advance(SCRIPT[1].at_s / 10)
    assert incident.phase == 1


def test_a_start_may_have_a_pace_of_its_own() -> None:
    clock = FakeClock()
    incident = Incident(clock=clock)
    incident.start(pace=5.0)
    clock.advance(SCRIPT[1].at_s / 5)
    assert incident.phase == 1
    incident.stop()
    incident.start()
    clock.advance(SCRIPT[1].at_s / 5)
    assert incident.phase == 0
    with pytest.raises(ValueError, match=r"pace is 0.0; it must be from 0.1 to 100"):
        incident.start(pace=0.0)


def test_starting_again_does_not_begin_again() -> None:
    clock = FakeClock()
    incident = Incident(clock=clock)
    incident.start()
    clock.advance(7.0)
    incident.start()
    assert incident.elapsed_s == 7.0


def test_stopping_goes_back_to_normal_from_anywhere() -> None:
    clock = FakeClock()
    incident = Incident(clock=clock)
    incident.start()
    clock.advance(1000.0)
    incident.stop()
    assert incident.behaviours() == NORMAL
    assert incident.volume == 1.0


@pytest.mark.parametrize("pace", [0.0, -1.0, 101.0, float("nan")])
def test_an_impossible_pace_is_refused(pace: float) -> None:
    with pytest.raises(ValueError, match="pace is"):
        Incident(pace=pace)
