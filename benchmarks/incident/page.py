"""docs/incident.md and its picture, drawn by Plotly in Chromium."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Sequence
from pathlib import Path

import plotly.graph_objects as go
from playwright.sync_api import sync_playwright
from plotly.offline import get_plotlyjs
from plotly.subplots import make_subplots

from benchmarks.incident.figures import GOOD, share
from benchmarks.incident.load import Run

DOCS = Path(__file__).parents[2] / "docs"
COLOURS = {"naive": "#b3261e", "article": "#b26a00", "switchgear": "#1a6fb0"}


def write(
    rate: int,
    rounds: int,
    runs: Sequence[Run],
    lines: Sequence[str],
    cells: Sequence[str],
    last: str,
) -> None:
    """Write the page and its picture."""
    (DOCS / "images" / "incident.png").write_bytes(_picture(runs))
    (DOCS / "incident.md").write_text(
        f"""# The night of 2:47 AM, measured

`python -m benchmarks.incident --docs` wrote this page. Open-loop Poisson arrivals at about {rate}
requests a second ({rate * 60:,} a minute; the article's system had 50,000), latency from the
intended start, real sockets, {rounds} rounds in which the versions take turns. The database has a
bounded number of workers, of which normal traffic uses 95 %; then traffic rises by 40 %. A query
that nobody waits for any more is worked on all the same. Users are asked for without a cache hit.
Switchgear keeps the last copy of each user, and answers with it, counted as degraded, where the
database does not answer in time.

![Answers within one second, and the 99th percentile of latency](images/incident.png)

The upper half counts degraded answers too, and so does `goodput_kept`: the surge asks for a third
more than the database can do, so that fresh answers for all are out of reach.

```
{chr(10).join(lines)}

{last}
```

## A trigger that ends, and its damage

The four cells of "Metastable Failures in the Wild" (Huang et al., OSDI 2022): for ten seconds a
neighbour takes 80 % of the database's CPU; then 78 %; then for nine seconds; then at 30 % less
load. The thresholds of that paper are of its own system, and need not be those of this one. The
naive version here makes three attempts of one second, at once, as many clients do.

```
{chr(10).join(cells)}
```
"""
    )


def _picture(runs: Sequence[Run]) -> bytes:
    titles = ("Answers within 1 s, degraded ones included, %", "Latency, p99, s")
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, subplot_titles=titles)
    for version, colour in COLOURS.items():
        samples = [each for run in runs if run.version == version for each in run.samples]
        seconds = range(int(max(each.at for each in samples)))
        goods, slow = [], []
        for second in seconds:
            window = [each for each in samples if second <= each.at < second + 1]
            ordered = sorted(each.latency for each in window) or [0.0]
            goods.append(100 * share(window, *GOOD))
            slow.append(ordered[int(0.99 * len(ordered))])
        line = {"color": colour}
        x = list(seconds)
        figure.add_trace(go.Scatter(x=x, y=goods, name=version, line=line), 1, 1)
        figure.add_trace(go.Scatter(x=x, y=slow, showlegend=False, line=line), 2, 1)
    phases = runs[0].phases
    figure.add_vrect(
        x0=phases[0].seconds,
        x1=phases[0].seconds + phases[1].seconds,
        fillcolor="#888888",
        opacity=0.15,
        line_width=0,
    )
    figure.update_layout(template="plotly_white", width=1000, height=620)
    figure.update_xaxes(title_text="seconds", row=2, col=1)
    with sync_playwright() as playwright:
        # The system's Chromium where there is one, else the one that Playwright has installed.
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_content("<div id=chart></div>")
        page.add_script_tag(content=get_plotlyjs())
        url = page.evaluate(
            "figure => Plotly.newPlot('chart', figure.data, figure.layout).then("
            "chart => Plotly.toImage(chart, {format: 'png', width: 1000, height: 620}))",
            figure.to_dict() | {"data": [each.to_plotly_json() for each in figure.data]},
        )
        browser.close()
    return base64.b64decode(url.partition(",")[2])
