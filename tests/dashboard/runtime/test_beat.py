"""What is due is run, by Celery under the name it is scheduled by, or by the one process itself."""

from __future__ import annotations

import asyncio
import threading

import pytest
from django.conf import settings
from django.utils.module_loading import import_string

from dashboard.celery import app
from dashboard.runtime.beat import beat

ran: list[str] = []


def well() -> None:
    ran.append(threading.current_thread().name)


def badly() -> None:
    ran.append("badly")
    raise RuntimeError("of no account to the others")


@pytest.fixture(autouse=True)
def none_yet() -> None:
    ran.clear()


@pytest.mark.django_db
@pytest.mark.parametrize("name", settings.CELERY_BEAT_SCHEDULE)
def test_every_task_runs_and_runs_again(name: str) -> None:
    entry = settings.CELERY_BEAT_SCHEDULE[name]
    task = import_string(entry["task"])
    assert app.tasks[entry["task"]].name == task.name == entry["task"]
    task()
    task()


@pytest.mark.django_db(transaction=True)
async def test_one_that_fails_stops_neither_itself_nor_the_others() -> None:
    schedule = {
        each.__name__: {"task": f"{__name__}.{each.__name__}", "schedule": 0.01}
        for each in (well, badly)
    }
    running = asyncio.create_task(beat(schedule))
    async with asyncio.timeout(10):
        while ran.count("badly") < 2 or len(ran) < 5:
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert {each.rpartition("_")[0] for each in ran} == {"", "beat"}, "in a thread of its own"
