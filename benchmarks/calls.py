"""What a call through a breaker costs, next to a floor and to every Python peer, in one run.

    python -m benchmarks.calls              a call that succeeds, sync
    python -m benchmarks.calls --async      the same for coroutines
    python -m benchmarks.calls --open       a call that an open breaker refuses
    python -m benchmarks.calls --threads 8  calls a second through one breaker, sleeping and not
    python -m benchmarks.calls --memory     bytes a breaker

The floor is the same function behind a hand-written wrapper that takes two monotonic clock readings
inside try/except; for refusals it is a bare raise and catch, for threads one thread alone, for
memory the naive class. Each contender is called the way its documentation calls it, with what it
was given by default and thresholds that are never reached. Each run ends with

    calls ratio=<ours/floor> floor=<of the floor> best_peer=<name>:<its ratio to the same floor>

in ns a call (lower is better), with --threads as throughput of all over that of one (higher is
better; the floor is one thread's ns a call, and a peer's is its own), with --memory in bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import contenders, crowd, memory
from benchmarks.rounds import last_line, race, table

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
    parser.add_argument(
        "--rounds", type=int, help="rounds of 10 ms each (60), of threads of 150 ms (9)"
    )
    options = parser.parse_args()
    if options.memory:
        memory.main()
    elif options.threads:
        crowd.main(options.threads, options.rounds or 9)
    elif options.is_async:
        _run(contenders.asynchronous, options.rounds or 60)
    elif options.open:
        _run(contenders.refusing, options.rounds or 60)
    else:
        _run(contenders.synchronous, options.rounds or 60)


def _run(make: Callable[[], contenders.Contenders], rounds: int) -> None:
    field = make()
    results = race(field.loops, rounds)
    floor = results[FLOOR]
    print(table(results, FLOOR), *field.notes, sep="\n")
    best = min(field.peers, key=results.__getitem__)
    print(last_line(results[OURS] / floor, floor, best, results[best] / floor))


if __name__ == "__main__":
    main()
