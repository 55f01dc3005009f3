"""`python -m examples.shop` runs the fleet; `… incident start|stop|status` plays 2:47 AM on it."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from examples import parent_watchdog
from examples.shop.fleet import Addresses, FleetSize, run
from examples.shop.supervisor import ROOT, listen


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says."""
    options = _parser().parse_args(arguments)
    if options.command == "incident":
        return incident(options.act, options.url, options.speed)
    if options.tethered:
        parent_watchdog.hold_on_to_parent()
    shape = FleetSize(
        options.profile_apis, options.webs, options.rate, options.pace, not options.any_ports
    )
    director = _director(options.director_fd, options.director_port)
    options.dir.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(run(shape, options.dir, _say, director))
    except TimeoutError:
        _say("some of its processes did not come up in time")
        return 1
    return 0


def incident(act: str, url: str | None, pace: float | None = None) -> int:
    """Start (at a pace), stop or show the incident, and say where it stands."""
    with httpx.Client(trust_env=False, timeout=5.0) as client:
        base = url or _running(client)
        if base is None:
            print("No shop is running here: start one with `make demo`.", file=sys.stderr)
            return 1
        try:
            if act == "status":
                where = client.get(f"{base}/status").json()["incident"]
            else:
                body = {} if pace is None or act != "start" else {"pace": pace}
                where = _accepted(client.post(f"{base}/incident/{act}", json=body))
        except ValueError as error:
            print(error, file=sys.stderr)
            return 2
        except httpx.HTTPError as error:
            print(f"The shop at {base} does not answer: {error}", file=sys.stderr)
            return 1
    print(in_words(where))
    return 0


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    """Where the incident stands.

    Raises:
        ValueError: the director has refused, and why.
    """
    found: dict[str, Any] = answer.json()
    if answer.is_client_error:
        raise ValueError(found["error"])
    return found


def _director(fd: int | None, port: int | None) -> socket.socket | None:
    """The director's socket, where it is said which."""
    if fd is not None:
        return socket.socket(fileno=fd)
    return None if port is None else listen(port)


def in_words(where: dict[str, Any]) -> str:
    """Where the incident stands.

    >>> in_words({"running": False})
    'No incident: the shop is well, or recovering.'
    """
    if not where["running"]:
        return "No incident: the shop is well, or recovering."
    phase = where["script"][where["phase"]]
    return f"2:47 AM, {where['elapsed_s']:.0f} s in: {phase['title']}. {phase['story']}"


def _running(client: httpx.Client) -> str | None:
    """The director of the shop that was started last and still answers."""
    found = sorted(ROOT.glob(".demo/*/shop.json"), key=lambda path: path.stat().st_mtime)
    for path in reversed(found):
        director = msgspec.json.decode(path.read_bytes(), type=Addresses).director
        try:
            client.get(f"{director}/healthz")
        except httpx.HTTPError:
            continue
        return director
    return None


def _say(line: str) -> None:
    print(f"shop: {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.shop", description=__doc__)
    home = Path(os.environ.get("SHOP_DIR") or ROOT / ".demo" / "shop")
    parser.add_argument("--dir", type=Path, default=home, help="where it keeps its state")
    parser.add_argument("--profile-apis", type=int, default=4, help="instances of profile-api")
    parser.add_argument("--webs", type=int, default=2, help="instances of web")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second")
    parser.add_argument("--pace", type=float, default=1.0, help="how fast the incident plays")
    parser.add_argument("--any-ports", action="store_true", help="use whatever ports are free")
    parser.add_argument("--tethered", action="store_true", help="end when standard input does")
    parser.add_argument("--director-fd", type=int, help="a listening socket for the director")
    parser.add_argument("--director-port", type=int, help="where the director listens, if free")
    commands = parser.add_subparsers(dest="command")
    play = commands.add_parser("incident", help="play 2:47 AM on the shop that runs")
    play.add_argument("act", choices=("start", "stop", "status"))
    play.add_argument(
        "--pace", type=float, dest="speed", help="play it so many times faster than written"
    )
    play.add_argument("--url", default=os.environ.get("SHOP_URL"), help="the director's address")
    return parser


if __name__ == "__main__":
    sys.exit(main())
