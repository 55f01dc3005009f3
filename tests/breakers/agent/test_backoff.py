"""Full jitter under a doubling ceiling."""

from breakers.agent.backoff import Backoff


def test_the_ceiling_doubles_up_to_the_cap_and_starts_anew_when_it_went_well() -> None:
    backoff = Backoff(3.0, first_s=0.2, random=lambda: 1.0)
    assert [backoff.next() for _ in range(6)] == [0.2, 0.4, 0.8, 1.6, 3.0, 3.0]
    backoff.reset()
    assert backoff.next() == 0.2


def test_it_never_overflows() -> None:
    backoff = Backoff(3.0, random=lambda: 0.5)
    assert max(backoff.next() for _ in range(5000)) == 1.5


def test_who_says_when_to_come_back_is_obeyed() -> None:
    assert Backoff(3.0, random=lambda: 0.0).next(at_least_s=7.0) == 7.0


def test_a_server_that_restarts_has_its_agents_back_spread_over_a_moment() -> None:
    waits = sorted(Backoff(3.0).soon(1.0) for _ in range(1000))
    assert 0 <= waits[0] < 0.05
    assert 0.95 < waits[-1] <= 1.0
    assert 0.4 < waits[500] < 0.6


def test_one_that_does_not_come_back_is_a_failure_like_others() -> None:
    backoff = Backoff(3.0, first_s=0.2, random=lambda: 1.0)
    assert [backoff.soon(1.0), backoff.soon(1.0), backoff.next()] == [1.0, 0.4, 0.8]
