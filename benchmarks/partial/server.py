"""A dependency that fails in part: `python -m benchmarks.partial.server FD`.

A line of JSON is one request. `{"errors": [...], "delays": [...]}` sets, for each shard, the share
of requests that fail and the seconds that each takes. A request brings its luck, from 0 to 1, so
that it fares the same whichever breaker let it through.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

from benchmarks.incident.wire import read_line
from examples.parent_watchdog import end_with_parent

SHARDS = 10


class Server:
    """Shards of one dependency, each with its own share of failures and its own delay."""

    def __init__(self) -> None:
        self.errors = [0.0] * SHARDS
        self.delays = [0.005] * SHARDS

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await read_line(reader):
            message = json.loads(line)
            answer: object = {}
            if "errors" in message:
                self.errors, self.delays = message["errors"], message["delays"]
            else:
                shard = message["id"] % SHARDS
                await asyncio.sleep(self.delays[shard])
                if message["luck"] < self.errors[shard]:
                    answer = {"error": "out of order"}
            writer.write(json.dumps(answer).encode() + b"\n")


async def main() -> None:
    end_with_parent()
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.start_server(Server().serve, sock=listening)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
