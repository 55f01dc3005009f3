"""Runs the periodic tasks inside one process: the embedded shape's stand-in for Celery's beat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import close_old_connections
from django.utils.module_loading import import_string

logger = logging.getLogger("switchgear.beat")


async def beat(schedule: Mapping[str, Mapping[str, Any]]) -> None:
    """Run each task of a CELERY_BEAT_SCHEDULE whenever it is due, until cancelled. A task that
    fails is logged and runs again the next time.

    Tasks run in one separate thread: a slow task delays the next task, but no page.
    """
    due = {name: time.monotonic() + entry["schedule"] for name, entry in schedule.items()}
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(1, "beat") as thread:
        while True:
            name = min(due, key=due.__getitem__)
            await asyncio.sleep(max(0.0, due[name] - time.monotonic()))
            due[name] = time.monotonic() + schedule[name]["schedule"]
            try:
                task = import_string(schedule[name]["task"])
                await loop.run_in_executor(thread, _run, task)
            except Exception:
                logger.exception("the task %s failed", name)


def _run(task: Callable[[], object]) -> None:
    close_old_connections()
    try:
        task()
    finally:
        close_old_connections()
