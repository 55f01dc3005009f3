"""How often the first cause of a simulated cascade is named.

    python -m benchmarks.cause                      # 200 cascades
    python -m benchmarks.cause --cascades 1000 --seed 7 --verbose

Each cascade runs over a random graph of 5 to 25 services. One breaker on a leaf dependency, or on a
service that fails by itself, is the root. The breakers of its callers trip after random delays,
each only with some probability: a breaker with a high threshold, or a caller with a fallback, does
not trip, although its own callers may. Every instance reports with a delay of up to a second, some
of them late. In some cascades an unrelated breaker trips too, and unrelated deploys happen.

It ends with one line: `cause cascades=<n> right=<n> right_pct=<n>`.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass

from dashboard.alerts.cause import Event, Graph, Node, Tripped, first_cause

TRIPS = 0.8  # of the callers that a failure reaches
LATE_REPORT = 0.1
UNRELATED_TRIP = 0.15
UNRELATED_DEPLOY = 0.5


@dataclass(frozen=True, slots=True)
class Cascade:
    nodes: list[Node]
    tripped: list[Tripped]
    events: list[Event]
    root: Node


def simulate(rng: random.Random) -> Cascade:
    """A cascade over a random graph."""
    services = [f"s{n}" for n in range(rng.randint(5, 25))]
    nodes: list[Node] = []
    for n, service in enumerate(services):
        later = services[n + 1 :]
        for other in rng.sample(later, min(len(later), rng.randint(0, 3))):
            nodes.append((service, other))
        for leaf in range(rng.randint(0 if n + 1 < len(services) else 1, 2)):
            nodes.append((service, f"db-{service}-{leaf}"))
    root = rng.choice(nodes)
    tripped_at = {root: 0.0}
    failing = [(root[0], 0.0)]
    reached = {root[0]}
    while failing:
        service, at = failing.pop(0)
        for node in nodes:
            if node[1] != service or node in tripped_at:
                continue
            when = at + rng.uniform(0.2, 1.0) + rng.expovariate(1 / 6)
            if rng.random() < TRIPS:
                tripped_at[node] = when
            if node[0] not in reached and rng.random() < 0.9:
                reached.add(node[0])
                failing.append((node[0], when))
    if rng.random() < UNRELATED_TRIP:
        tripped_at.setdefault(rng.choice(nodes), rng.uniform(-20, 40))
    tripped = [Tripped(node, 1e9 + at + _delay(rng)) for node, at in tripped_at.items()]
    rng.shuffle(tripped)
    events = (
        [Event(1e9 - rng.uniform(0, 800), rng.choice(services), "a deploy")]
        if rng.random() < UNRELATED_DEPLOY
        else []
    )
    return Cascade(nodes, tripped, events, root)


def _delay(rng: random.Random) -> float:
    return rng.uniform(0, 1) + (rng.uniform(1, 4) if rng.random() < LATE_REPORT else 0)


def accuracy(cascades: int, seed: int, verbose: bool = False) -> int:
    """How many of the cascades are attributed to their root."""
    rng = random.Random(seed)
    right = 0
    for n in range(cascades):
        each = simulate(rng)
        found = first_cause(each.tripped, Graph(each.nodes), each.events)
        right += found.first.node == each.root
        if verbose and found.first.node != each.root:
            print(f"{n}: {len(each.tripped)} tripped, named {found.first.node}, root {each.root}")
    return right


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cascades", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    right = accuracy(given.cascades, given.seed, given.verbose)
    share = 100 * right / given.cascades
    print(f"cause cascades={given.cascades} right={right} right_pct={share:.1f}")


if __name__ == "__main__":
    main()
