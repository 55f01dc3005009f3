"""One partition's weight does not hold up the receipts of the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence

import pytest
from django.db import DataError, OperationalError

from dashboard.fleet.checkpoint_batch import Batch, Delta
from dashboard.fleet.checkpoints import Checkpoints
from dashboard.fleet.services import Fenced

LIGHT, HEAVY = 1, 2


class Sink:
    """Notes which partitions are stored together, and which are safe by then."""

    def __init__(self, fails: Mapping[int, Exception] | None = None) -> None:
        self.fails = dict(fails or {})
        self.log: list[str] = []

    def absorb(self, batches: Sequence[Batch]) -> None:
        self.log.append(f"store {sorted(each.partition for each in batches)}")
        for each in batches:
            if each.partition in self.fails:
                raise self.fails[each.partition]

    def put_aside(self, batch: Batch, error: str) -> None:
        self.log.append(f"aside {batch.partition}")

    async def commit(self, positions: Mapping[int, tuple[int, int]]) -> None:
        self.log.append(f"safe {sorted(positions)}")


def checkpoints(sink: Sink, rows: Mapping[int, int], parallel: bool = False) -> Checkpoints:
    made = Checkpoints(sink, sink.commit, lambda _: None, parallel=parallel)
    for partition, count in rows.items():
        made.begin(partition, 1)
        fill(made, partition, count)
    return made


def fill(made: Checkpoints, partition: int, count: int) -> None:
    batch = made.batch(partition)
    assert batch is not None
    batch.position = (1, 0)
    batch.deltas = {(f"s{partition}", f"b{n}", 0): Delta({"success": 1}) for n in range(count)}
    batch.cursors = {(f"s{partition}", "i", "b"): 1}


class SlowSink(Sink):
    """Stores the heavy partition as slowly as the test wants."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def absorb(self, batches: Sequence[Batch]) -> None:
        if [each.partition for each in batches] == [HEAVY]:
            assert self.go_on.wait(20)
        super().absorb(batches)


@pytest.mark.django_db
async def test_light_partitions_are_safe_before_a_heavy_one_is_stored() -> None:
    sink = Sink()
    await checkpoints(sink, {HEAVY: 5000, LIGHT: 10, 3: 20}).store()
    assert sink.log == ["store [1, 3]", "safe [1, 3]", "store [2]", "safe [2]"]


@pytest.mark.django_db
async def test_a_heavy_partition_that_fails_leaves_the_light_ones_safe() -> None:
    sink = Sink({HEAVY: OperationalError("gone")})
    made = checkpoints(sink, {HEAVY: 5000, LIGHT: 10})
    assert not await made.store_once()
    assert sink.log == ["store [1]", "safe [1]", "store [2]"]
    assert made.is_clean(LIGHT)
    assert not made.is_clean(HEAVY)
    sink.fails.clear()
    assert await made.store_once()
    assert sink.log[-1] == "safe [2]"


@pytest.mark.django_db
async def test_a_refused_heavy_partition_is_put_aside_and_committed() -> None:
    sink = Sink({HEAVY: DataError("poison")})
    made = checkpoints(sink, {HEAVY: 5000, LIGHT: 10})
    assert not await made.store_once(), "the first failure may be the database's own"
    assert await made.store_once()
    assert sink.log[-2:] == ["aside 2", "safe [2]"]
    assert made.is_clean(HEAVY)


@pytest.mark.django_db
async def test_the_weight_of_a_service_holds_up_no_later_checkpoint_of_the_others() -> None:
    sink = SlowSink()
    made = checkpoints(sink, {HEAVY: 5000, LIGHT: 10}, parallel=True)
    await made.store()
    for _ in range(3):
        fill(made, LIGHT, 10)
        fill(made, HEAVY, 5000)
        await made.store()
    assert sink.log == ["store [1]", "safe [1]"] * 4
    assert made.is_clean(LIGHT)
    assert not made.is_clean(HEAVY)
    sink.go_on.set()
    async with asyncio.timeout(20):
        while "safe [2]" not in sink.log:
            await asyncio.sleep(0.01)
    assert not made.is_clean(HEAVY), "what came meanwhile waits, in order"
    await made.store_last()
    assert sink.log[-2:] == ["store [2]", "safe [2]"]
    assert sink.log.count("store [2]") == 2, "what came meanwhile was stored together"
    assert made.is_clean(HEAVY)


@pytest.mark.django_db
async def test_a_worker_that_ends_in_the_middle_of_a_heavy_checkpoint_stores_it_once() -> None:
    sink = SlowSink()
    made = checkpoints(sink, {HEAVY: 5000}, parallel=True)
    await made.store()
    ending = asyncio.create_task(made.store_last())
    await asyncio.sleep(0.05)
    sink.go_on.set()
    async with asyncio.timeout(20):
        await ending
    assert sink.log == ["store [2]", "safe [2]"]
    assert made.is_clean(HEAVY)


@pytest.mark.django_db
async def test_a_heavy_partition_that_is_taken_over_meanwhile_is_forgotten() -> None:
    sink = SlowSink()
    sink.fails[HEAVY] = Fenced(frozenset({HEAVY}))
    lost: list[frozenset[int]] = []
    made = Checkpoints(sink, sink.commit, lost.append, parallel=True)
    made.begin(HEAVY, 1)
    fill(made, HEAVY, 5000)
    await made.store()
    sink.go_on.set()
    async with asyncio.timeout(20):
        while not lost:
            await asyncio.sleep(0.01)
    assert lost == [frozenset({HEAVY})]
    assert made.is_clean(HEAVY)
    assert made.batch(HEAVY) is None
    assert "safe [2]" not in sink.log
