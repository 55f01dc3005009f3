"""The linter of policies. Each finding has a stable code and a page in docs/policies/lint."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from breakers.circuit.histogram import Histogram
from dashboard.access.authority import Anyone, visible_services
from dashboard.fleet.snapshot.reads import snapshot
from dashboard.history import queries as history
from dashboard.policies import queries
from dashboard.policies.knobs import KNOBS
from dashboard.policies.quantities import show
from dashboard.policies.worst_case import worst_case

# The latencies that timeouts are compared with.
EVIDENCE_S: Final = 86_400.0
_MIN_CALLS: Final = 1000
MAX_ATTEMPTS: Final = 20
_MAX_DEPTH: Final = 8

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What is probably wrong with one field of a breaker's policy."""

    code: str
    field: str
    message: str
    service: str = ""
    breaker: str = ""

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)

    @property
    def page(self) -> str:
        """Its page in the documentation."""
        return f"policies/lint/{self.code}.md"


@dataclass(frozen=True)
class Evidence:
    """What history knows of a breaker, and the policies along the paths of calls to it."""

    latencies: Histogram = field(default_factory=Histogram)
    fallbacks: int = 0
    failures: int = 0
    restart_s: float | None = None
    # Each path begins with a breaker that is called from outside and ends with this one.
    paths: tuple[tuple[tuple[str, Policy], ...], ...] = ()


def check(policy: Policy, evidence: Evidence | None = None) -> list[Finding]:
    """The findings for one complete policy."""
    known = evidence or Evidence()
    return [found for rule in RULES for found in rule(policy, known)]


def _attempts_exceed_deadline(policy: Policy, known: Evidence) -> Iterator[Finding]:
    deadline = policy.get("deadline")
    worst = worst_case({**policy, "deadline": None})
    if deadline is not None and worst.seconds is not None and worst.seconds > deadline:
        yield Finding(
            "SG001",
            "deadline",
            f"{worst.attempts} attempts of {_time(worst.attempt_s)} with pauses take up to "
            f"{_time(worst.seconds)}: longer than the total deadline of {_time(deadline)}.",
        )


def _no_bound(policy: Policy, known: Evidence) -> Iterator[Finding]:
    if policy.get("timeout") is None and policy.get("deadline") is None:
        yield Finding(
            "SG002", "timeout", "Neither a timeout nor a deadline bounds a call: it may hang."
        )


def _caller_gives_up(policy: Policy, known: Evidence) -> Iterator[Finding]:
    worst = worst_case(policy).seconds
    if worst is None:
        return
    for path in known.paths:
        for name, caller in path[:-1][-1:]:
            limit = min(
                (each for each in (caller.get("timeout"), caller.get("deadline")) if each),
                default=None,
            )
            if limit is not None and limit < worst:
                yield Finding(
                    "SG003",
                    "timeout",
                    f"The caller {name} gives up after {_time(limit)}; this call may take "
                    f"{_time(worst)}.",
                )


def _retries_multiply(policy: Policy, known: Evidence) -> Iterator[Finding]:
    for path in known.paths:
        attempts = [int(each.get("retries") or 1) for _, each in path]
        product = 1
        for each in attempts:
            product *= each
        if len(path) > 1 and product >= MAX_ATTEMPTS:
            names = " → ".join(name for name, _ in path)
            yield Finding(
                "SG004",
                "retries",
                f"Retries multiply along {names}: {' × '.join(map(str, attempts))} = {product} "
                "attempts for one request.",
            )


def _window_too_short(policy: Policy, known: Evidence) -> Iterator[Finding]:
    slowest = policy.get("timeout")
    if policy.get("window_type") == "time" and slowest and policy["window_size"] < slowest:
        yield Finding(
            "SG005",
            "window_size",
            f"The window of {policy['window_size']} s is shorter than the slowest call, "
            f"{_time(slowest)}: a slow call ends after the window that it began in.",
        )


def _opens_too_short(policy: Policy, known: Evidence) -> Iterator[Finding]:
    opened = policy["timeout_duration"]
    if known.restart_s is not None and opened < known.restart_s:
        yield Finding(
            "SG006",
            "timeout_duration",
            f"It stays open for {_time(opened)}, and the dependency takes about "
            f"{_time(known.restart_s)} to come back: test calls meet it while it restarts.",
        )


def _timeout_beside_latency(policy: Policy, known: Evidence) -> Iterator[Finding]:
    timeout, sketch = policy.get("timeout"), known.latencies
    if timeout is None or sketch.count < _MIN_CALLS:
        return
    p99, p999 = sketch.quantile(0.99), sketch.quantile(0.999)
    assert p99 is not None
    assert p999 is not None
    if timeout < p99:
        yield Finding(
            "SG007",
            "timeout",
            f"A timeout of {_time(timeout)} is below the 99th percentile of {_rounded(p99)}: more "
            "than one call in a hundred is cut.",
        )
    elif timeout > 10 * p999:
        yield Finding(
            "SG008",
            "timeout",
            f"A timeout of {_time(timeout)} is more than ten times the 99.9th percentile of "
            f"{_rounded(p999)}: callers wait long for what will not come.",
        )


def _no_fallback(policy: Policy, known: Evidence) -> Iterator[Finding]:
    critical = policy.get("criticality") == "critical"
    if critical and known.failures and not known.fallbacks:
        yield Finding(
            "SG009",
            "failure_threshold",
            f"It is called critical, {known.failures:,} calls failed, and no fallback answered.",
        )


def _window_never_full(policy: Policy, known: Evidence) -> Iterator[Finding]:
    rates = ("failure_rate_threshold", "slow_call_rate_threshold")
    uses_rate = any(policy.get(name) is not None for name in rates)
    is_count = policy.get("window_type") == "count"
    if uses_rate and is_count and policy["minimum_calls"] > policy["window_size"]:
        yield Finding(
            "SG010",
            "minimum_calls",
            f"A window of {policy['window_size']} calls never holds the minimum of "
            f"{policy['minimum_calls']}; the smaller number counts.",
        )


def _never_trips(policy: Policy, known: Evidence) -> Iterator[Finding]:
    rules = ("failure_threshold", "failure_rate_threshold", "slow_call_rate_threshold")
    if all(policy.get(name) is None for name in rules):
        yield Finding(
            "SG011", "failure_threshold", "Every rule is switched off: the breaker never opens."
        )


def _unbounded_retries(policy: Policy, known: Evidence) -> Iterator[Finding]:
    if policy.get("retry_budget") is None and int(policy.get("retries") or 1) > 1:
        yield Finding(
            "SG012",
            "retry_budget",
            f"Without a retry budget an outage brings {policy['retries']} times the load.",
        )


def _no_jitter(policy: Policy, known: Evidence) -> Iterator[Finding]:
    is_retried = int(policy.get("retries") or 1) > 1
    if is_retried and not policy.get("retry_jitter") and policy.get("retry_delay"):
        yield Finding(
            "SG013", "retry_jitter", "Without jitter all callers retry at the same moments."
        )


RULES: Final[tuple[Callable[[Policy, Evidence], Iterator[Finding]], ...]] = (
    _attempts_exceed_deadline,
    _no_bound,
    _caller_gives_up,
    _retries_multiply,
    _window_too_short,
    _opens_too_short,
    _timeout_beside_latency,
    _no_fallback,
    _window_never_full,
    _never_trips,
    _unbounded_retries,
    _no_jitter,
)


def breaker(service: str, name: str, candidate: Mapping[str, Any] | None = None) -> list[Finding]:
    """The findings for one breaker; with `candidate`, as if that were its own policy."""
    return check(queries.effective(service, name, candidate), gather(service, name))


def gather(service: str, name: str, shot: dict[str, Any] | None = None) -> Evidence:
    """What is known of a breaker: the latencies of a day, fallbacks, and the paths to it."""
    now = time.time()
    _, rows = history.rollups(service, name, now - EVIDENCE_S + 60, now, now)
    latencies = Histogram()
    for row in rows:
        latencies.merge(row["buckets"])
    ended = [
        each.ended - each.began
        for each in history.outages(now - 7 * EVIDENCE_S, now, service=service, breaker=name)
        if each.ended is not None and each.ended_as == "recovered"
    ]
    return Evidence(
        latencies,
        fallbacks=sum(row["fallback"] for row in rows),
        failures=sum(row["failure"] + row["timeout"] for row in rows),
        restart_s=sorted(ended)[len(ended) // 2] if len(ended) >= 3 else None,
        paths=paths_to(service, name, shot or snapshot()),
    )


def paths_to(
    service: str, name: str, shot: dict[str, Any]
) -> tuple[tuple[tuple[str, Policy], ...], ...]:
    """The chains of breakers that lead to one, by the map: a breaker named like a service calls
    that service."""
    callers: dict[str, list[tuple[str, str]]] = {}
    for each in shot["services"]:
        for called in each["breakers"]:
            callers.setdefault(called["name"], []).append((each["name"], called["name"]))
    found: list[tuple[tuple[str, str], ...]] = []

    def walk(path: tuple[tuple[str, str], ...]) -> None:
        before = [each for each in callers.get(path[0][0], ()) if each not in path]
        if not before or len(path) >= _MAX_DEPTH or len(found) >= 100:
            found.append(path)
            return
        for each in before:
            walk((each, *path))

    walk(((service, name),))
    policies = {key: queries.effective(*key) for path in found for key in path}
    return tuple(tuple((f"{key[0]}/{key[1]}", policies[key]) for key in path) for path in found)


def fleet(person: Anyone) -> list[Finding]:
    """The findings for every breaker of the services that a person sees."""
    visible = visible_services(person)
    shot = snapshot()
    return [
        Finding(found.code, found.field, found.message, service["name"], each["name"])
        for service in shot["services"]
        if service["name"] in visible
        for each in service["breakers"]
        for found in check(
            queries.effective(service["name"], each["name"]),
            gather(service["name"], each["name"], shot),
        )
    ]


def _time(seconds: float | None) -> str:
    return show(KNOBS["deadline"], seconds)


def _rounded(seconds: float) -> str:
    return show(KNOBS["deadline"], float(f"{seconds:.3g}"))
