"""A network between agents and web processes that tests can break: a TCP proxy in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from itertools import count

_CONNECT_S = 2.0


class Door:
    """Spreads connections over those backends that take them.

    `cut` breaks all connections and lets none in. `hold` keeps every byte back and tells nobody, as
    a network does that routes into nowhere: TCP delivers later what it can. `open` ends either.
    """

    def __init__(self, backends: Sequence[int]) -> None:
        self._backends = list(backends)
        self._turn = count()
        self._flows: set[asyncio.Transport | asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_cut = False
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        threading.Thread(target=self._loop.run_forever, name="door", daemon=True).start()
        self._server = self._ask(asyncio.start_server(self._let_in, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _ask(self, work):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def cut(self) -> None:
        """Break everything off, and let nothing in."""
        self._is_cut = True
        self._ask(self._break_all())

    def hold(self) -> None:
        """Keep everything back from now on."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def open(self) -> None:
        """Let everything pass again, what was held first."""
        self._is_cut = False
        self._loop.call_soon_threadsafe(self._passing.set)

    def close(self) -> None:
        """End."""
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _break_all(self) -> None:
        for flow in list(self._flows):
            flow.transport.abort()  # type: ignore[union-attr]

    async def _end(self) -> None:
        self._server.close()
        await self._break_all()
        for task in list(self._tasks):
            task.cancel()

    async def _let_in(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._flows.add(back)
        far_writer: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            if self._is_cut:
                return
            far, far_writer = await self._connect()
            self._flows.add(far_writer)
            one = asyncio.create_task(self._carry(near, far_writer))
            other = asyncio.create_task(self._carry(far, back))
            self._tasks |= {one, other}
            await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
            for task in (one, other):
                task.cancel()
                self._tasks.discard(task)
        except OSError:
            pass  # nobody takes it: hang up
        finally:
            for writer in (back, far_writer):
                if writer is not None:
                    self._flows.discard(writer)
                    writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        first = next(self._turn)
        for i in range(len(self._backends)):
            port = self._backends[(first + i) % len(self._backends)]
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_CONNECT_S):
                    return await asyncio.open_connection("127.0.0.1", port)
        raise ConnectionRefusedError

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
