"""The dashboard's process in a demo: uvicorn, tethered to the process that started it.

`python -m examples.demo.serve PORT`, in the environment of that demo's dashboard.
"""

from __future__ import annotations

import sys

import uvicorn

from examples import tether


def main() -> None:
    """Serve until SIGTERM, or until the demo is gone."""
    tether.hold_on_to_parent()
    uvicorn.run(
        "dashboard.asgi:application",
        host="127.0.0.1",
        port=int(sys.argv[1]),
        ws="websockets-sansio",
        # One byte more than the wire allows, so that the gate can say what is wrong.
        ws_max_size=1024 * 1024 + 1,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    main()
