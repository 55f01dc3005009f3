"""uvicorn's HTTP protocol with bounds on what comes before a request is known: the size of its head
and the time it takes. Without them one connection of a stranger could fill the memory with a header
that does not end, and be held for ever."""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# The bytes of a request line and its headers; beyond them what was read at once, 256 KiB at most.
MAX_HEAD_BYTES: Final = 64 * 1024
HEAD_S: Final = 10.0


def _answer(status: bytes, text: bytes) -> bytes:
    return (
        b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\nconnection: close\r\n"
        b"content-length: %d\r\n\r\n%b" % (status, len(text), text)
    )


_TOO_LARGE: Final = _answer(
    b"431 Request Header Fields Too Large", b"The headers have more than 64 KiB.\n"
)
_TOO_LATE: Final = _answer(
    b"408 Request Timeout", b"No request has come within ten seconds, or not all of its headers.\n"
)


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection. A head that is too large is answered with 431, one that takes too long with
    408; both end the connection."""

    _in_head = False
    _head_bytes = 0
    _head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        is_of_head = self._in_head or self.cycle is None
        super().data_received(data)
        if not self._in_head:
            return
        # How much of it is of this head is not known where a request before it ended in it.
        self._head_bytes = self._head_bytes + len(data) if is_of_head else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self._end(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        if self._head_due is None:
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._forget_head()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._head_due = self.loop.call_later(HEAD_S, self._end, _TOO_LATE)

    def _forget_head(self) -> None:
        self._in_head = False
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _end(self, answer: bytes) -> None:
        if answer is _TOO_LATE and self._is_answering():
            # A pipelined request waits for the response before it.
            self._expect_head()
            return
        self._forget_head()
        if not self.transport.is_closing():
            if not self._is_answering():
                self.transport.write(answer)
            self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete
