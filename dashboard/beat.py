"""Runs the periodic tasks inside one process: the embedded shape's stand-in for Celery's beat."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from channels.db import database_sync_to_async
from django.utils.module_loading import import_string

logger = logging.getLogger("switchgear.beat")


async def beat(schedule: Mapping[str, Mapping[str, Any]]) -> None:
    """Run each task of a CELERY_BEAT_SCHEDULE whenever it is due, until cancelled. A task that
    fails is logged and runs again the next time."""
    due = {name: time.monotonic() + entry["schedule"] for name, entry in schedule.items()}
    while True:
        name = min(due, key=due.__getitem__)
        await asyncio.sleep(max(0.0, due[name] - time.monotonic()))
        due[name] = time.monotonic() + schedule[name]["schedule"]
        try:
            task = import_string(schedule[name]["task"])
            await database_sync_to_async(task)()
        except Exception:
            logger.exception("the task %s failed", name)
