import asyncio
import signal
from typing import Any

import uvloop
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.observability.process_metrics import add_worker_gauges, does_not_tick, serve
from dashboard.runtime.interpreter_tuning import tune_interpreter
from dashboard.runtime.wiring import make_worker


class Command(BaseCommand):
    help = (
        "Run a fleet worker: consume reports, keep the fleet's state, emit frames. Run any number."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError(
                "With SWITCHGEAR_BUS_URL=memory:// the web process runs the fleet worker itself; "
                "give a redis:// address to run it on its own."
            )
        uvloop.run(_run())


async def _run() -> None:
    """Until SIGTERM or SIGINT, then a last checkpoint."""
    made = make_worker()
    add_worker_gauges(made)
    serve(lambda: "the fleet does not tick" if does_not_tick(made) else "")
    worker = asyncio.create_task(made.run())
    tune_interpreter()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.cancel)
    try:
        await worker
    except asyncio.CancelledError:
        return
