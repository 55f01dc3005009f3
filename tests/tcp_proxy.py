"""A network between agents and web processes that tests can break: a TCP proxy in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from itertools import count

_CONNECT_S = 2.0


class FaultyProxy:
    """Distributes connections over the backends that accept them.

    `cut` aborts all connections and accepts none. `hold` delays every byte without an error, like a
    network that drops packets: TCP delivers them later. `open` ends both.
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
        threading.Thread(target=self._loop.run_forever, name="faulty-proxy", daemon=True).start()
        self._server = self._run(asyncio.start_server(self._handle, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def _run(self, work):  # type: ignore[no-untyped-def]
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def cut(self) -> None:
        """Abort all connections and accept no new ones."""
        self._is_cut = True
        self._run(self._break_all())

    def hold(self) -> None:
        """Delay all bytes from now on."""
        self._loop.call_soon_threadsafe(self._passing.clear)

    def open(self) -> None:
        """Forward bytes again, the delayed ones first."""
        self._is_cut = False
        self._loop.call_soon_threadsafe(self._passing.set)

    def close(self) -> None:
        """Close the listener and all connections."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _break_all(self) -> None:
        for flow in list(self._flows):
            flow.transport.abort()  # type: ignore[union-attr]

    async def _end(self) -> None:
        self._server.close()
        await self._break_all()
        for task in list(self._tasks):
            task.cancel()

    async def _handle(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._flows.add(back)
        far_writer: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            if self._is_cut:
                return
            far, far_writer = await self._connect()
            self._flows.add(far_writer)
            one = asyncio.create_task(self._forward(near, far_writer))
            other = asyncio.create_task(self._forward(far, back))
            self._tasks |= {one, other}
            await asyncio.wait({one, other}, return_when=asyncio.FIRST_COMPLETED)
            for task in (one, other):
                task.cancel()
                self._tasks.discard(task)
        except OSError:
            pass  # no backend accepts it: close the connection
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

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._passing.wait()
                sink.write(data)
                await sink.drain()
