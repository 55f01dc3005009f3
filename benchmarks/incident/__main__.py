"""The night of 2:47 AM, measured: `python -m benchmarks.incident`.

    --rate N     requests a second (50,000 a minute is 833); by default the most that the generator
                 holds on this machine, of 833, 416, 208 and 104
    --rounds N   how often the versions take turns (2)
    --docs       write docs/incident.md and docs/images/incident.png

Traffic that uses 95 % of a bounded database rises by 40 % for a while and falls back. Naive, the
article's pattern and Switchgear play the same script in turn, over real sockets. Then the four
cells of "Metastable Failures in the Wild" (OSDI 2022): how a trigger of ten seconds that takes
80 % of the database's CPU ends, and a smaller, a shorter one and one at less load.

    incident errors naive=<%> article=<%> switchgear=<%> ratio=<naive/switchgear>
        goodput_kept=<%> recovered_s=<n>

in one line. Errors are the answers that were wrong, failed or took more than 1 s, of all that were
asked from the surge on; goodput kept is our share of answers within 1 s in that time, of the share
before. Degraded answers (the last copy of a user) count in both: the surge asks for a third more
than the database can do. The line before says how many were fresh, and how each version did before
the surge. Recovered is how long after the surge we were back at 99 %.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence

from benchmarks.incident import page
from benchmarks.incident.figures import GOOD, percentile, recovered_s, share, table
from benchmarks.incident.load import Phase, Run, play, rate_for, workers_for

VERSIONS = ("naive", "article", "switchgear")
SCRIPT = (Phase("normal", 6, 1.0), Phase("surge", 12, 1.4), Phase("after", 12, 1.0))
RATES = (833, 416, 208, 104)
CELL_WORKERS = 4
CELL_USED = 0.7
CELLS = {
    "80 % for 10 s": (0.20, 10.0, 1.0),
    "78 % for 10 s": (0.22, 10.0, 1.0),
    "80 % for 9 s": (0.20, 9.0, 1.0),
    "80 % for 10 s, 30 % less load": (0.20, 10.0, 0.7),
}


async def most() -> int:
    """The highest of `RATES` at which requests leave on time."""
    for rate in RATES[:-1]:
        workers = workers_for(rate, 0.5)
        run = await play("switchgear", (Phase("trial", 3, 1.4),), rate, workers, seed=1)
        late = sorted(run.lateness)[int(len(run.lateness) * 0.99)]
        slow = percentile(run.samples, 0.99)
        print(f"trial at {rate} × 1.4 a second: sent {late * 1000:.0f} ms late (p99), ", end="")
        print(f"answered in {slow * 1000:.0f} ms (p99)")
        if late < 0.05 and slow < 0.5:
            return rate
    return RATES[-1]


async def incident(rate: int, rounds: int) -> list[Run]:
    workers = workers_for(rate, 0.95)
    exact = rate_for(workers, 0.95)
    print(f"{exact:.0f} requests a second, {workers} workers of 40 ms, {rounds} rounds")
    return [
        await play(version, SCRIPT, exact, workers, seed=number)
        for number in range(rounds)
        for version in VERSIONS
    ]


async def metastable() -> dict[tuple[str, str], Run]:
    """The cells of one version at once: they are small, and wait more than they compute."""
    found = {}
    rate = rate_for(CELL_WORKERS, CELL_USED)
    for version in ("naive with retries", "switchgear"):
        plays = []
        for left, seconds, load in CELLS.values():
            phases = (
                Phase("normal", 3, load),
                Phase("trigger", seconds, load, left),
                Phase("after", 15, load),
            )
            plays.append(play(version, phases, rate, CELL_WORKERS, seed=80))
        for name, run in zip(CELLS, await asyncio.gather(*plays), strict=True):
            found[name, version] = run
    return found


def cell_lines(cells: dict[tuple[str, str], Run]) -> list[str]:
    lines = []
    for (name, version), run in sorted(cells.items(), reverse=True):
        end = run.phases[0].seconds + run.phases[1].seconds
        found = recovered_s(run, end)
        told = "does not recover in 15 s" if found is None else f"recovers in {found:.0f} s"
        lines.append(f"{name:<32}{version:<20}{told}")
    return lines


def fresh_line(runs: Sequence[Run]) -> str:
    """What the last line does not say: fresh answers alone, and the time before the surge."""
    mine = [run for run in runs if run.version == "switchgear"]
    later = [each for run in mine for each in run.samples if each.phase > 0]
    before = [each for run in mine for each in run.samples if each.phase == 0]
    fresh, degraded = share(later, "good"), share(later, "degraded")
    parts = []
    for version in VERSIONS:
        first = [e for run in runs if run.version == version for e in run.samples if e.phase == 0]
        parts.append(f"{version} {share(first, *GOOD):.1%}")
    return (
        f"switchgear from the surge on: fresh {fresh:.1%}, degraded {degraded:.1%}; of its fresh "
        f"answers {min(1.0, fresh / share(before, 'good')):.1%} were kept. "
        f"Within 1 s before the surge: {', '.join(parts)}."
    )


def last_line(runs: Sequence[Run]) -> str:
    errors, kept, recovered = {}, 0.0, 0.0
    for version in VERSIONS:
        mine = [run for run in runs if run.version == version]
        later = [each for run in mine for each in run.samples if each.phase > 0]
        errors[version] = 1 - share(later, *GOOD)
        if version == "switchgear":
            before = [each for run in mine for each in run.samples if each.phase == 0]
            kept = min(1.0, share(later, *GOOD) / share(before, *GOOD))
            end = SCRIPT[0].seconds + SCRIPT[1].seconds
            found = [recovered_s(run, end) for run in mine]
            recovered = max(SCRIPT[2].seconds if each is None else each for each in found)
            # Of an error rate of zero, what can be said is "below one in all".
            floor = max(errors[version], 1 / len(later))
    return (
        f"incident errors naive={errors['naive']:.2%} article={errors['article']:.2%} "
        f"switchgear={errors['switchgear']:.2%} ratio={errors['naive'] / floor:.0f} "
        f"goodput_kept={kept:.2%} recovered_s={recovered:.0f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incident", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rate", type=int)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--docs", action="store_true")
    options = parser.parse_args()
    rate = options.rate or asyncio.run(most())
    runs = asyncio.run(incident(rate, options.rounds))
    lines = table(runs)
    print(*lines, "", sep="\n")
    runs_of_cells = asyncio.run(metastable())
    cells = cell_lines(runs_of_cells)
    print(*cells, "", sep="\n")
    fresh = fresh_line(runs)
    print(fresh, "", sep="\n")
    last = last_line(runs)
    if options.docs:
        page.write(rate, options.rounds, runs, [*lines, "", fresh], cells, last)
    print(last)


if __name__ == "__main__":
    main()
