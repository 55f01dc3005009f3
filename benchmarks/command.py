"""How long an operator's act takes until instances have acknowledged it.

    python -m benchmarks.command [--agents 2000] [--through api]

500 agents are connected and report each second. An operator posts the form that forces a breaker
open, or with `--through api` calls `POST /api/v1/acts` with a personal token; the time of each
instance is from before the request to the moment its acknowledgement is stored. Then the override
is lifted, and so on. Fails if an acknowledgement is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from typing import Final, Protocol, cast

import httpx
import psycopg
import uvloop

from benchmarks.agents import SocketAgent
from benchmarks.ingest import Load
from benchmarks.production import ProductionStack, percentile, production
from benchmarks.sockets import BINARY, frame
from breakers.protocol import messages as wire
from breakers.protocol.codec import MSGPACK

SERVICE = "orders"
BREAKER = "dependency-00.orders.read"
_ACKS = """
select extract(epoch from ack.at), ack.instance from control_ack ack
join control_override override on override.id = ack.override_id
where override.ended is null
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.command", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seconds", type=float, default=60, help="of acts, in all")
    parser.add_argument("--agents", type=int, default=500)
    parser.add_argument("--through", choices=list(_OPERATORS), default="page")
    options = parser.parse_args()
    with production() as shape:
        operator = _OPERATORS[options.through](shape)
        latencies, acts, missing = uvloop.run(
            _measure(shape, operator, options.agents, options.seconds)
        )
    print(f"{acts} acts, {len(latencies)} acknowledgements, {missing} missing")
    print(
        f"command p50_ms={percentile(latencies, 0.5) * 1e3:.0f} "
        f"p99_ms={percentile(latencies, 0.99) * 1e3:.0f}"
    )
    if missing:
        raise SystemExit(f"{missing} acknowledgements did not arrive within 15 s")


class Operator(Protocol):
    """Somebody who acts on the benchmark's breaker."""

    def headers(self) -> dict[str, str]:
        """The headers of every request."""

    async def force_open(self, client: httpx.AsyncClient) -> None:
        """Force the breaker open for 15 minutes."""

    async def release(self, client: httpx.AsyncClient) -> None:
        """Return the breaker to automatic."""


class PageOperator:
    """Posts the forms of the breaker's page."""

    def __init__(self, shape: ProductionStack) -> None:
        self._cookie = shape.cookie("operator")

    def headers(self) -> dict[str, str]:
        return {"Cookie": self._cookie}

    async def force_open(self, client: httpx.AsyncClient) -> None:
        await self._post(client, "force-open", {"expires_in": "900"})

    async def release(self, client: httpx.AsyncClient) -> None:
        await self._post(client, "automatic", {})

    async def _post(self, client: httpx.AsyncClient, act: str, more: dict[str, str]) -> None:
        csrf = self._cookie.partition("csrftoken=")[2].partition(";")[0]
        # A large reach is confirmed by the number of its breakers.
        form = {"reason": "a benchmark", "confirm": "1", "csrfmiddlewaretoken": csrf, **more}
        answer = await client.post(f"/services/{SERVICE}/breakers/{BREAKER}/{act}", data=form)
        if answer.status_code != 302:
            errors = re.findall(r'class="error[^>]*>\s*([^<]+)', answer.text)
            raise RuntimeError(f"{act} was answered {answer.status_code}: {errors}")


class ApiOperator:
    """Calls the REST API with a personal token."""

    def __init__(self, shape: ProductionStack) -> None:
        shape.cookie("operator")  # makes the person
        self._token = shape.personal_token()

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"}

    async def force_open(self, client: httpx.AsyncClient) -> None:
        await self._act(client, "forced_open")

    async def release(self, client: httpx.AsyncClient) -> None:
        await self._act(client, "automatic")

    async def _act(self, client: httpx.AsyncClient, state: str) -> None:
        body = {
            "targets": [{"service": SERVICE, "breaker": BREAKER}],
            "state": state,
            "reason": "a benchmark",
            "expires_in_s": 900,
        }
        answer = await client.post("/api/v1/acts", json=body)
        if answer.status_code != 200:
            raise RuntimeError(f"{state} was answered {answer.status_code}: {answer.text[:500]}")


_OPERATORS: Final = {"page": PageOperator, "api": ApiOperator}


class Obedient(SocketAgent):
    """An agent that acknowledges each desired state at once, as the real one does."""

    def __init__(self, instance: str, token: str) -> None:
        super().__init__(SERVICE, instance, token)
        self._instance = instance

    def _hear(self, payload: bytes) -> None:
        super()._hear(payload)
        while self.desired:
            _, desired = self.desired.pop()
            items = [
                wire.AckItem("override", each.breaker, "applied", each.id)
                for each in desired.overrides
            ]
            ack = wire.Ack(SERVICE, self._instance, desired.revision, items)
            self.socket.transport.write(frame(BINARY, MSGPACK.encode(ack)))


async def _measure(
    shape: ProductionStack, operator: Operator, count: int, seconds: float
) -> tuple[list[float], int, int]:
    token = shape.tokens([SERVICE])[SERVICE]
    agents = [Obedient(f"i{n:04}", token) for n in range(count)]
    for each in agents:
        await each.connect(shape.url)
    load = Load(list(agents))
    reporting = asyncio.create_task(load.run(seconds + 120, float(count)))
    await asyncio.sleep(5)
    latencies: list[float] = []
    acts = missing = 0
    until = time.perf_counter() + seconds
    async with httpx.AsyncClient(base_url=shape.url, trust_env=False, timeout=30) as client:
        client.headers.update(operator.headers())
        while time.perf_counter() < until or acts < 3:
            found = await _act(shape, operator, client, count)
            latencies += found
            missing += count - len(found)
            acts += 1
    reporting.cancel()
    return latencies, acts, missing


async def _act(
    shape: ProductionStack, operator: Operator, client: httpx.AsyncClient, count: int
) -> list[float]:
    """Force open, wait for all, and lift; seconds until each acknowledgement was stored."""
    began = time.time()
    await operator.force_open(client)
    answered_s = time.time() - began
    rows: list[tuple[float, str]] = []
    deadline = time.perf_counter() + 15
    async with await psycopg.AsyncConnection.connect(shape.postgres, autocommit=True) as database:
        while len(rows) < count and time.perf_counter() < deadline:
            await asyncio.sleep(0.25)
            rows = cast(list[tuple[float, str]], await (await database.execute(_ACKS)).fetchall())
    await operator.release(client)
    await asyncio.sleep(0.5)
    latencies = [float(at) - began for at, _ in rows]
    print(
        f"answered after {answered_s * 1e3:.0f} ms; acknowledged from "
        f"{min(latencies, default=0) * 1e3:.0f} to {max(latencies, default=0) * 1e3:.0f} ms",
        flush=True,
    )
    return latencies


if __name__ == "__main__":
    main()
