"""Mixed load on the production shape for minutes, while processes and servers are killed at random.

    python -m tests.soak                     ten minutes
    python -m tests.soak --minutes 2 --seed 7

Services call and an operator acts all the time, and every few seconds something is killed,
suspended or cut off. Some instances are offline until the end and then report all their counts. At
the end every call must be in history exactly once, and no call may have passed a breaker that was
forced open.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import tests.environment  # noqa: F401 - before Django reads its settings
from tests.examples.running import eventually
from tests.production_shape import Callers, Member, ProductionStack, production
from tests.tcp_proxy import FaultyProxy

_INSTANCES = 40
_AWAY = 10
_QUIET_S = (2.0, 8.0)


class Faults:
    """Everything that may happen, one at a time, each followed by its end."""

    def __init__(self, shape: ProductionStack, chance: random.Random) -> None:
        self._shape = shape
        self._chance = chance
        self.kinds: tuple[Callable[[], None], ...] = (
            self.kill_a_fleet_worker,
            self.kill_both_fleet_workers,
            self.kill_what_runs_the_tasks,
            self.kill_a_web_process,
            self.restart_a_web_process_gently,
            self.stop_a_process_for_a_while,
            self.cut_the_network,
            self.let_the_network_lead_nowhere,
            self.kill_redis,
            self.kill_redis_with_its_data,
            self.kill_postgresql,
        )

    def strike(self) -> str:
        """Let one thing happen; what it was."""
        kind = self._chance.choice(self.kinds)
        kind()
        return kind.__name__.replace("_", " ")

    def _for(self, low: float, high: float) -> None:
        time.sleep(self._chance.uniform(low, high))

    def _again(self, *members: Member) -> None:
        for member in members:
            member.kill()
        self._for(0.0, 6.0)
        for member in members:
            member.start()

    def kill_a_fleet_worker(self) -> None:
        self._again(self._chance.choice(self._shape.fleets))

    def kill_both_fleet_workers(self) -> None:
        self._again(*self._shape.fleets)

    def kill_what_runs_the_tasks(self) -> None:
        self._again(self._shape.worker, self._shape.beat)

    def kill_a_web_process(self) -> None:
        self._again(self._chance.choice(self._shape.webs))

    def restart_a_web_process_gently(self) -> None:
        web = self._chance.choice(self._shape.webs)
        web.end()
        self._for(0.0, 2.0)
        web.start()

    def stop_a_process_for_a_while(self) -> None:
        shape = self._shape
        member = self._chance.choice([*shape.fleets, *shape.webs, shape.worker, shape.beat])
        member.signal(signal.SIGSTOP)
        self._for(2.0, 20.0)
        member.signal(signal.SIGCONT)

    def cut_the_network(self) -> None:
        self._shape.proxy.cut()
        self._for(1.0, 15.0)
        self._shape.proxy.open()

    def let_the_network_lead_nowhere(self) -> None:
        self._shape.proxy.hold()
        self._for(1.0, 15.0)
        self._shape.proxy.open()

    def kill_redis(self) -> None:
        self._shape.redis.end(signal.SIGKILL)
        self._for(0.0, 4.0)
        self._shape.redis.start()

    def kill_redis_with_its_data(self) -> None:
        self._shape.redis.end(signal.SIGKILL)
        self._shape.redis.forget()
        self._for(0.0, 4.0)
        self._shape.redis.start()

    def kill_postgresql(self) -> None:
        self._shape.postgres.end(signal.SIGQUIT)
        self._for(0.0, 6.0)
        self._shape.postgres.start()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        shape = stack.enter_context(production(directory, _INSTANCES))
        far = FaultyProxy(shape.web_ports)
        stack.callback(far.close)
        far.cut()
        away = Callers(f"http://127.0.0.1:{far.port}", "away", _AWAY)
        stack.callback(away.kill)
        away.ask("go")
        _storm(shape, random.Random(options.seed), options.minutes * 60)
        print("calm; those who were away come back", flush=True)
        far.open()
        shape.callers.append(away)
        return _account(shape)


def _storm(shape: ProductionStack, chance: random.Random, seconds: float) -> None:
    """Faults, and an operator who acts in between."""
    faults = Faults(shape, chance)
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        counters = faults.strike()
        state = chance.choice(["metrics_only", "forced_closed", ""])
        act = f"force {state}" if state else "lift"
        print(f"{passed:5.0f} s  {counters}; {act}", flush=True)
        if state:
            _persist(lambda state=state: shape.force("posts", state))  # type: ignore[misc]
        else:
            _persist(lambda: shape.lift("posts"))
        time.sleep(chance.uniform(*_QUIET_S))


def _persist(act: Callable[[], None]) -> None:
    """As an operator does whose page says that it could not be done just now."""

    def done() -> bool:
        try:
            act()
        except AssertionError as error:
            if "OperationalError" not in str(error):
                raise
            return False
        return True

    eventually(done, 20)


def _account(shape: ProductionStack) -> int:
    """Compare what was called with what is counted; the exit code."""
    _persist(lambda: shape.lift("posts"))
    shape.until_true()
    counters = shape.ask("pause")
    expected = sum(shape.made().values())

    def counted() -> int:
        return sum(shape.counted().values())

    try:
        eventually(lambda: counted() == expected, 40)
    except AssertionError:
        print("not everything is counted", flush=True)
    # What would be counted twice would come now.
    time.sleep(3)
    found = counted()
    minutes, of_seconds, hours, of_minutes = shape.carried()
    is_carried = minutes == of_seconds and hours == of_minutes
    print("rolled up exactly" if is_carried else "rolled up wrongly", flush=True)
    errors, violated = (sum(each[name] for each in counters) for name in ("errors", "violated"))
    slowest = max(each["p99_s"] for each in counters)
    print(
        f"{errors} calls failed that should not; p99 of a call {1e6 * slowest:.0f} µs", flush=True
    )
    print(
        f"soak counted={found} expected={expected} lost={expected - found} "
        f"overrides_violated={violated}"
    )
    return int(bool(errors or violated or found != expected or not is_carried))


if __name__ == "__main__":
    sys.exit(main())
