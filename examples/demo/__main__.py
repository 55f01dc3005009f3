"""`python -m examples.demo` runs the demo; `… dashboard` brings back a dashboard that died."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Coroutine, Sequence
from typing import Any

import httpx

from examples.demo.run import Demo, Failed
from examples.demo.state import State, known
from examples.production.demo import ProductionDemo, free_ports, replaced_ports
from examples.production.state import BadPort, Production

_PORT = 8000
_PORTS_TRIED = 50
_BACK_S = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("demo", "dashboard"), default="demo")
    parser.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("PORT"),
        help=f"the dashboard's ({_PORT}, or the next free one)",
    )
    parser.add_argument(
        "--profile",
        choices=("embedded", "production"),
        default=os.environ.get("PROFILE") or "embedded",
        help="one process, or all of the Procfile with PostgreSQL and Redis",
    )
    options = parser.parse_args(arguments)
    if options.profile == "production":
        return production(options.port)
    lonely = lonely_demo(options.port)
    if lonely is not None:
        return bring_back(lonely)
    if options.what == "dashboard":
        return dashboard_alone(options.port)
    return demo(options.port or _PORT)


def demo(first: int) -> int:
    """Run a demo on the first free port from `first` on."""
    for port in range(first, min(first + _PORTS_TRIED, 65_536)):
        state = State(port)
        with state.locked() as ours:
            if ours and state.port_is_free():
                return _run(Demo(state, say).run())
        by = "another demo" if not ours else "another program"
        say(f"Port {port} is taken by {by}; trying {port + 1}.")
    say("No port is free; say which to use: make demo PORT=9000")
    return 1


def production(port: int | None) -> int:
    """Run the production shape on free ports, the dashboard's from `port` on."""
    env = dict(os.environ)
    if port is not None:
        env["BALANCER_PORT"] = str(port)
    try:
        ports = free_ports(env)
    except BadPort as error:
        say(str(error))
        return 2
    state = Production(ports["BALANCER_PORT"], ports)
    with state.locked() as ours:
        if not ours:
            say(f"The production shape runs here already; its state is in {state.directory}")
            return 1
        for line in replaced_ports(ports, env):
            say(line)
        return _run(ProductionDemo(state, say).run())


def dashboard_alone(port: int | None) -> int:
    """Bring up a dashboard on its own: nothing runs that lacks one."""
    candidates = [State(port)] if port else known() or [State(_PORT)]
    for state in candidates:
        if state.owner() is not None:
            return wait_for(state, "The dashboard is up already:")
    state = candidates[0]
    with state.locked() as ours:
        if ours and state.port_is_free():
            return _run(Demo(state, say, with_shop=False).run())
    say(f"Port {state.port} is taken by another program.")
    return 1


def lonely_demo(port: int | None) -> State | None:
    """A demo that runs without its dashboard, if there is one."""
    for state in [State(port)] if port else known():
        if state.owner() is not None and state.down.exists():
            return state
    return None


def bring_back(state: State) -> int:
    """Ask the demo's own process to start its dashboard again, and wait for that."""
    owner = state.owner()
    if owner is None:
        say("That demo has just ended; start it again with: make demo")
        return 1
    say("A demo runs without its dashboard: bringing it back.")
    os.kill(owner, signal.SIGUSR1)
    return wait_for(state, "The dashboard is back at")


def wait_for(state: State, done: str) -> int:
    """Wait until a dashboard answers, and say so."""
    until = time.monotonic() + _BACK_S
    while time.monotonic() < until:
        if _is_up(state):
            say(f"{done} {state.url}")
            return 0
        time.sleep(0.1)
    say(f"It did not come back; its log is {state.log}")
    return 1


def say(line: str) -> None:
    """Tell the person at the terminal."""
    # A closed pipe must not keep us from ending what we started.
    with contextlib.suppress(BrokenPipeError):
        print(line, flush=True)


def _run(demo: Coroutine[Any, Any, None]) -> int:
    say("Starting Switchgear …")
    try:
        asyncio.run(demo)
    except Failed as error:
        say(str(error))
        return 1
    say("Stopped.")
    return 0


def _is_up(state: State) -> bool:
    try:
        httpx.get(f"{state.url}/healthz", timeout=2.0, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it must be from 1 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
