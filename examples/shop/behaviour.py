"""How a dependency behaves at present: its latencies, its errors, its lies."""

from __future__ import annotations

import math
import random
from typing import Annotated

from msgspec import Meta, Struct

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(gt=0, le=60)]

_Z99 = 2.326  # the standard normal distribution's 99th percentile


class Behaviour(Struct, frozen=True, forbid_unknown_fields=True):
    """Latencies are lognormal, as real ones nearly are, given by median and 99th percentile in
    seconds. `errors` is the share of requests answered 500, `corrupt` the share answered 200 with
    a body that is none.

    >>> Behaviour(0.04, 0.15).at(0.0)
    0.04
    """

    median: Seconds
    p99: Seconds
    errors: Share = 0.0
    corrupt: Share = 0.0

    def at(self, z: float) -> float:
        """The latency `z` standard deviations from the median; twice the p99 at most."""
        sigma = math.log(max(self.p99 / self.median, 1.0)) / _Z99
        return min(self.median * math.exp(sigma * z), 2 * max(self.p99, self.median))

    def latency(self) -> float:
        """The latency of one request, in seconds."""
        return self.at(random.gauss(0.0, 1.0))


# Every dependency often takes longer than 50 ms, and never as long as its caller waits for it.
NORMAL = {
    "users-db": Behaviour(median=0.040, p99=0.150),
    "posts": Behaviour(median=0.045, p99=0.150),
    "social": Behaviour(median=0.060, p99=0.160),
}
