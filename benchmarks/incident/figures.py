"""What runs show: shares and percentiles by phase, and the time to recover."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.incident.load import Run, Sample

GOOD = ("good", "degraded")
STEADY = 0.99


def share(samples: Sequence[Sample], *outcomes: str) -> float:
    """The share of samples with one of these outcomes."""
    return sum(each.outcome in outcomes for each in samples) / len(samples) if samples else 0.0


def percentile(samples: Sequence[Sample], p: float) -> float:
    """A percentile of the latencies, in seconds."""
    ordered = sorted(each.latency for each in samples)
    return ordered[min(len(ordered) - 1, int(p * len(ordered)))] if ordered else 0.0


def recovered_s(run: Run, end_of_trigger: float) -> float | None:
    """Seconds from the end of the trigger until every later second has 99 % good answers; None if
    that does not come."""
    last = max(each.at for each in run.samples)
    found = None
    for second in range(int(end_of_trigger), int(last)):
        window = [each for each in run.samples if second <= each.at < second + 1]
        if window and share(window, *GOOD) < STEADY:
            found = None
        elif found is None:
            found = max(0.0, second - end_of_trigger)
    return found


def table(runs: Sequence[Run]) -> list[str]:
    """A line for each version and phase."""
    head = f"{'version':<20}{'phase':<10}{'offered':>8}{'good':>8}{'degraded':>9}{'late':>7}"
    lines = [head + f"{'errors':>8}{'p50':>8}{'p99':>8}{'p99.9':>8}{'queries':>9}"]
    for version in dict.fromkeys(run.version for run in runs):
        mine = [run for run in runs if run.version == version]
        for number, phase in enumerate(mine[0].phases):
            samples = [each for run in mine for each in run.samples if each.phase == number]
            queries = sum(run.queries[number] for run in mine)
            cells = [
                *(f"{share(samples, kind):.1%}" for kind in ("good", "degraded", "late", "error")),
                *(f"{percentile(samples, p) * 1000:.0f} ms" for p in (0.5, 0.99, 0.999)),
            ]
            lines.append(
                f"{version:<20}{phase.name:<10}{len(samples):>8}{cells[0]:>8}{cells[1]:>9}"
                f"{cells[2]:>7}{cells[3]:>8}{cells[4]:>8}{cells[5]:>8}{cells[6]:>8}{queries:>9}"
            )
    return lines
