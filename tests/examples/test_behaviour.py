"""How the dependencies behave."""

import math

import msgspec
import pytest

from examples.shop.behaviour import NORMAL, Behaviour


@pytest.mark.parametrize("behaviour", NORMAL.values(), ids=NORMAL)
def test_normal_latencies_often_exceed_50_ms_and_never_the_callers_patience(
    behaviour: Behaviour,
) -> None:
    latencies = [behaviour.latency() for _ in range(5000)]
    assert sum(latency > 0.05 for latency in latencies) / len(latencies) > 0.2
    assert max(latencies) < 0.4


def test_the_99th_percentile_is_where_it_was_said_to_be() -> None:
    behaviour = Behaviour(median=0.04, p99=0.15)
    assert behaviour.at(2.326) == pytest.approx(0.15)


def test_a_tail_is_cut() -> None:
    assert Behaviour(median=0.04, p99=0.15).at(10.0) == pytest.approx(0.3)


def test_a_p99_below_the_median_means_no_spread() -> None:
    assert math.isclose(Behaviour(median=2.0, p99=1.0).at(1.5), 2.0)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"median": 0, "p99": 1}', "$.median"),
        (b'{"median": 1, "p99": 61}', "$.p99"),
        (b'{"median": 1, "p99": 1, "errors": 1.5}', "$.errors"),
        (b'{"median": 1, "p99": 1, "eror": 1}', "eror"),
    ],
)
def test_a_bad_behaviour_is_refused_at_its_field(body: bytes, field: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=Behaviour)
    assert field in str(caught.value)
