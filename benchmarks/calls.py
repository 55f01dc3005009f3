"""What a call through a breaker costs, next to a floor and to every Python peer, in one run.

    python -m benchmarks.calls              a call that succeeds, sync
    python -m benchmarks.calls --async      the same for coroutines
    python -m benchmarks.calls --open       a call that an open breaker refuses
    python -m benchmarks.calls --threads 8  calls a second through one breaker, sleeping and not
    python -m benchmarks.calls --memory     bytes a breaker

The floor is the same function behind a hand-written wrapper that takes two monotonic clock readings
inside try/except; for refusals it is a bare raise and catch. Each contender is called the way its
documentation calls it, with what it was given by default and thresholds that are never reached.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import contenders, crowd, memory
from benchmarks.rounds import race, table

OURS = "switchgear"
FLOOR = "floor"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--async", action="store_true", dest="is_async")
    mode.add_argument("--open", action="store_true")
    mode.add_argument("--threads", type=int, metavar="N")
    mode.add_argument("--memory", action="store_true")
    parser.add_argument("--rounds", type=int, default=60, help="rounds of 10 ms each")
    options = parser.parse_args()
    if options.memory:
        memory.main()
    elif options.threads:
        crowd.main(options.threads)
    elif options.is_async:
        _run("calls-async", contenders.asynchronous, options.rounds)
    elif options.open:
        _run("calls-open", contenders.refusing, options.rounds)
    else:
        _run("calls", contenders.synchronous, options.rounds)


def _run(name: str, make: Callable[[], contenders.Contenders], rounds: int) -> None:
    field = make()
    results = race(field.loops, rounds)
    floor = results[FLOOR]
    print(table(results, FLOOR))
    peers = {each: ns for each, ns in results.items() if each in field.peers}
    best = min(peers, key=peers.__getitem__)
    print(
        f"{name} ratio={results[OURS] / floor:.2f} floor={floor:.0f} "
        f"best_peer={best}:{peers[best] / floor:.2f}"
    )


if __name__ == "__main__":
    main()
