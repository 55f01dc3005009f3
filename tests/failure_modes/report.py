"""The table of a run, for the terminal and for docs/failure-modes.md."""

from __future__ import annotations

from collections.abc import Mapping

from tests.failure_modes.modes import MODES
from tests.failure_modes.world import VERSIONS, Result

_HEAD = """# Failure modes

The article counts 47 failure modes of one endpoint, `get_user_profile`, three of them handled. This
page names 47 and shows what each does to three versions of the endpoint: **naive** (no protection),
**article** (the article's own pattern, with its holes) and **switchgear**. Where the article's
pattern has a knob, it is set as ours is; its timeouts are the shortest that it knows, 1 s. One
promise holds for all three: what the user gets and within how long, what other callers notice, how
much the dependency is asked. Where nothing protective is needed, nothing protective is promised.
Switchgear alone is besides checked to go on protecting while its dashboard is away or the clock
steps: these phases fall on nobody else. The page is written by

    .venv/bin/python -m pytest tests/failure_modes --write-docs

from that run's measurements. Each mode is a real fault on a real socket, process or clock. A cell
says what was seen in the phases of the mode, first the fault, last the recovery; "not kept" says
what broke the promise. The promises (answers, time, effect on other callers, load on the
dependency) are in `tests/failure_modes/dependency_modes.py` and `tests/failure_modes/own_modes.py`.
"""


def table(found: Mapping[tuple[str, str], Result]) -> str:
    """One line a mode."""
    lines = []
    for mode in MODES:
        if (mode.name, VERSIONS[0]) not in found:
            continue
        row = [found[mode.name, version] for version in VERSIONS]
        marks = "  ".join(f"{each.version} {'kept' if each.kept else '-':4}" for each in row)
        lines.append(f"{mode.name:<58} {marks}")
        for each in row:
            if each.version == "switchgear" and not each.kept:
                lines += [f"    {breach}" for breach in each.breaches]
                waited = f"processes waited for a core {each.stalled:.0%} of the time"
                lines.append(f"    (ran up to {each.late_s:.2f} s late; {waited})")
    return "\n".join(lines) + "\n"


def page(found: Mapping[tuple[str, str], Result]) -> str:
    """docs/failure-modes.md."""
    total = len(MODES)
    kept = {v: sum(each.kept for each in found.values() if each.version == v) for v in VERSIONS}
    lines = [
        _HEAD,
        "Kept in this run: " + ", ".join(f"{v} {kept[v]} of {total}" for v in VERSIONS) + ".\n",
        "| # | Mode | What the user sees with Switchgear | What governs it | naive | article "
        "| switchgear |",
        "|---|---|---|---|---|---|---|",
    ]
    for number, mode in enumerate(MODES, 1):
        cells = [_cell(found[mode.name, version]) for version in VERSIONS]
        lines.append(
            f"| {number} | {mode.name} | {mode.user_sees} | {mode.knob} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def _cell(result: Result) -> str:
    if result.kept:
        return "kept"
    return "not kept: " + "; ".join(result.breaches)
