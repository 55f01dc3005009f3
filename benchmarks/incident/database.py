"""A database with a bounded number of workers: `python -m benchmarks.incident.database FD WORKERS`.

A query waits for a worker, then holds it for an exponential time of 40 ms on average. Waiting
queries slow the working ones down (locks, memory), up to twice. The queue holds 4 s of work; more
is refused. A query whose asker is gone is worked on all the same, as databases do: that is why
retries hurt. The message `{"share": 0.2}` leaves that share of the workers, as a neighbour that
takes the rest of the CPU does; `{"load": 1}` reads how many queries came.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import sys
from collections import deque

from benchmarks.incident.wire import read_line
from examples.parent_watchdog import end_with_parent

SERVICE_S = 0.040
QUEUE_S = 4.0


class Database:
    """The workers and their queue."""

    def __init__(self, workers: int) -> None:
        self.workers = self.present = workers
        self.busy = 0
        self.queries = 0
        self.waiting: deque[asyncio.Future[None]] = deque()
        self.longest = int(workers / SERVICE_S * QUEUE_S)
        self.random = random.Random(247)

    async def query(self) -> bool:
        """Whether the query was worked on."""
        self.queries += 1
        if self.busy >= self.present:
            if len(self.waiting) >= self.longest:
                return False
            turn = asyncio.get_running_loop().create_future()
            self.waiting.append(turn)
            await turn
        else:
            self.busy += 1
        crowd = min(1.0, len(self.waiting) / self.longest)
        await asyncio.sleep(self.random.expovariate(1 / SERVICE_S) * (1 + crowd))
        self.busy -= 1
        self.wake()
        return True

    def wake(self) -> None:
        while self.waiting and self.busy < self.present:
            self.busy += 1
            self.waiting.popleft().set_result(None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await read_line(reader):
            message = json.loads(line)
            if "share" in message:
                self.present = max(1, round(self.workers * message["share"]))
                self.wake()
                answer: object = {}
            elif "load" in message:
                answer = {"queries": self.queries, "waiting": len(self.waiting)}
            elif "fixed" in message:  # the posts and social services, which stay healthy
                await asyncio.sleep(0.01)
                answer = {"of": message["fixed"]}
            else:
                # In a task of its own, so that it goes on when the connection ends.
                worked = await asyncio.shield(asyncio.ensure_future(self.query()))
                answer = {"id": message["id"]} if worked else {"error": "too many connections"}
            writer.write(json.dumps(answer).encode() + b"\n")


async def main() -> None:
    end_with_parent()
    listening = socket.socket(fileno=int(sys.argv[1]))
    server = await asyncio.start_server(Database(int(sys.argv[2])).serve, sock=listening)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
