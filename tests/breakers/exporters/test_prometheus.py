"""Breakers as Prometheus sees them: scraped as text from the real package, and parsed back."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from breakers import CircuitBreaker, PolicyError, Registry
from breakers.exporters.prometheus import BreakerCollector
from breakers.testing import FakeClock

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Boom(Exception):
    pass


def fail() -> None:
    raise Boom


class Scraped:
    """A process's breakers on a clock turned by hand, and how they look from outside."""

    def __init__(self, max_breakers: int = 500) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        self.metrics = CollectorRegistry()
        self.metrics.register(BreakerCollector(self.registry, max_breakers))

    def breaker(self, name: str = "posts", **fields: object) -> CircuitBreaker:
        return CircuitBreaker(
            name=name, registry=self.registry, clock=self.clock, open_jitter=0.0, **fields
        )

    def scrape(self) -> Samples:
        text = generate_latest(self.metrics).decode()
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        labels.setdefault("breaker", "posts")
        return self.scrape()[f"circuit_breaker_{name}", frozenset(labels.items())]


@pytest.fixture
def scraped() -> Scraped:
    return Scraped()


def test_one_series_a_state_and_one_of_them_is_1(scraped: Scraped) -> None:
    breaker = scraped.breaker(failure_threshold=1, timeout_duration=30)

    def states() -> dict[str, float]:
        return {
            dict(labels)["state"]: value
            for (name, labels), value in scraped.scrape().items()
            if name == "circuit_breaker_state"
        }

    assert states() == {
        "closed": 1, "open": 0, "half_open": 0, "forced_open": 0, "forced_closed": 0,
        "metrics_only": 0, "forced_partial": 0,
    }  # fmt: skip
    with pytest.raises(Boom):
        breaker.call(fail)
    assert (states()["open"], sum(states().values())) == (1, 1)
    scraped.clock.advance(30)
    assert states()["half_open"] == 1
    breaker.set_override("forced_open")
    assert (states()["forced_open"], sum(states().values())) == (1, 1)


def test_calls_by_their_end(scraped: Scraped) -> None:
    breaker = scraped.breaker(failure_threshold=2, ignore=KeyError)
    breaker.call(int)
    with pytest.raises(KeyError):
        breaker.call({}.__getitem__, 1)
    for _ in range(2):
        with pytest.raises(Boom):
            breaker.call(fail)
    with pytest.raises(Exception, match="open"):
        breaker.call(int)
    for outcome, n in {
        "success": 1,
        "ignored": 1,
        "failure": 2,
        "rejected": 1,
        "timeout": 0,
    }.items():
        assert scraped.value("calls_total", outcome=outcome) == n


def test_events_around_calls_slow_ones_and_those_under_way(scraped: Scraped) -> None:
    breaker = scraped.breaker(slow_call_duration=1.0)
    breaker.count("retry", 3)
    breaker.count("cache_hit")
    breaker.call(scraped.clock.advance, 2.0)
    held = breaker.enter()
    assert scraped.value("events_total", event="retry") == 3
    assert scraped.value("events_total", event="cache_hit") == 1
    assert scraped.value("slow_calls_total") == 1
    assert scraped.value("calls_in_flight") == 1
    breaker.leave(*held)
    assert scraped.value("calls_in_flight") == 0


def test_transitions(scraped: Scraped) -> None:
    breaker = scraped.breaker(failure_threshold=1, timeout_duration=30)
    for _ in range(2):
        with pytest.raises(Boom):
            breaker.call(fail)
        scraped.clock.advance(30)
    assert scraped.value("transitions_total", to="open") == 2
    assert scraped.value("transitions_total", to="half_open") == 2
    assert scraped.value("transitions_total", to="closed") == 0


def test_latencies_are_in_the_bucket_they_belong_to(scraped: Scraped) -> None:
    breaker = scraped.breaker(failure_threshold=None)
    for seconds in (0.0, 0.003, 0.5, 0.51, 3.0, 100.0):
        breaker.call(scraped.clock.advance, seconds)
    series = {
        dict(labels)["le"]: value
        for (name, labels), value in scraped.scrape().items()
        if name == "circuit_breaker_call_duration_seconds_bucket"
    }
    assert len(series) == 21
    assert series["0.001953125"] == 1
    assert series["0.00390625"] == 2
    assert series["0.5"] == 3
    assert series["1.0"] == 4
    assert (series["4.0"], series["64.0"], series["+Inf"]) == (5, 5, 6)
    assert scraped.value("call_duration_seconds_count") == 6
    assert scraped.value("call_duration_seconds_sum") == pytest.approx(104.013)
    values = [series[le] for le in sorted(series, key=float)]
    assert values == sorted(values)


def test_a_scrape_takes_nothing_from_the_agent(scraped: Scraped) -> None:
    breaker = scraped.breaker()
    breaker.call(int)
    scraped.scrape()
    assert breaker.drain().counts == {"success": 1}
    # And the agent nothing from a scrape: counters never go back.
    assert scraped.value("calls_total", outcome="success") == 1
    breaker.call(int)
    assert scraped.value("calls_total", outcome="success") == 2


def test_names_may_be_anything(scraped: Scraped) -> None:
    name = 'posts "v2"\\/users/7'
    scraped.breaker(name).call(int)
    assert scraped.value("calls_total", breaker=name, outcome="success") == 1


def test_so_many_breakers_and_no_more() -> None:
    scraped = Scraped(max_breakers=2)
    for n in range(5):
        scraped.breaker(f"breaker {n}").call(int)
    samples = scraped.scrape()
    shown = {dict(labels)["breaker"] for _, labels in samples if labels}
    assert shown == {"breaker 0", "breaker 1"}
    assert samples["circuit_breaker_unexported", frozenset()] == 3


def test_the_series_of_a_breaker_are_bounded_and_named_by_the_conventions(scraped: Scraped) -> None:
    breaker = scraped.breaker(failure_threshold=None)
    for power in range(-20, 12):
        breaker.call(scraped.clock.advance, 2.0**power)
    # 6 states, 6 changes to one, 5 ends, 5 events, slow, in flight, 21 buckets, sum and count.
    samples = [name for name, labels in scraped.scrape() if labels]
    assert len(samples) == 49
    for family in text_string_to_metric_families(generate_latest(scraped.metrics).decode()):
        assert family.documentation
        assert family.type != "counter" or all(
            sample.name.endswith("_total") for sample in family.samples
        )


def test_openmetrics_takes_it_too(scraped: Scraped) -> None:
    scraped.breaker().call(int)
    families = parse_openmetrics(generate_openmetrics(scraped.metrics).decode())
    assert "circuit_breaker_call_duration_seconds" in {family.name for family in families}


def test_registering_takes_no_snapshot() -> None:
    class Untouched(Registry):
        def all(self) -> list[CircuitBreaker]:
            raise AssertionError("was looked at")

    CollectorRegistry(auto_describe=True).register(BreakerCollector(Untouched()))


@pytest.mark.parametrize("wrong", [0, -1, True, 1.5])
def test_misuse_is_refused(wrong: int) -> None:
    with pytest.raises(PolicyError, match="max_breakers"):
        BreakerCollector(Registry(), wrong)


@pytest.fixture
def address(scraped: Scraped) -> Iterator[str]:
    server, thread = start_http_server(0, "127.0.0.1", scraped.metrics)
    yield f"http://127.0.0.1:{server.server_port}/metrics"
    server.shutdown()
    thread.join(5)
    server.server_close()


def test_a_real_scrape_while_calls_are_made(scraped: Scraped, address: str) -> None:
    breaker, stop = scraped.breaker(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            breaker.call(int)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        seen = []
        for _ in range(5):
            with urllib.request.urlopen(address, timeout=5) as answer:
                text = answer.read().decode()
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.labels.get("outcome") == "success":
                        seen.append(sample.value)
    finally:
        stop.set()
        worker.join(5)
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


def test_without_the_package_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['prometheus_client'] = None\n"
        "try:\n    import breakers.exporters.prometheus\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "switchgear[prometheus]" in done.stdout
