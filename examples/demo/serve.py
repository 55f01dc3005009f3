"""The dashboard's process in a demo: a web process, tethered to the process that started it.

`python -m examples.demo.serve PORT`, in the environment of that demo's dashboard.
"""

from __future__ import annotations

import sys

from dashboard.runtime.server import serve
from examples import parent_watchdog


def main() -> None:
    """Serve until SIGTERM, or until the demo is gone."""
    parent_watchdog.hold_on_to_parent()
    serve("127.0.0.1", int(sys.argv[1]))


if __name__ == "__main__":
    main()
