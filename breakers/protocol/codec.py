"""Encodes and decodes the wire's messages, and turns every bad input into a `WireError`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import msgspec

from breakers.protocol import messages as wire
from breakers.protocol import names

_PATH = re.compile(r" - at `(?P<path>[^`]+)`$")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


class _Header(msgspec.Struct):
    v: Any = wire.VERSION


class _Decoder(Protocol):
    def decode(self, data: bytes, /) -> Any: ...


class _Encoder(Protocol):
    def encode(self, obj: Any, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Codec:
    """One format of the wire. Use the module's `MSGPACK` and `JSON`.

    Raises:
        WireError: from both decoders, naming the field, for anything that is not of the protocol.
    """

    name: str
    subprotocol: str
    content_type: str
    is_text: bool
    _encoder: _Encoder
    _from_agent: _Decoder
    _from_server: _Decoder
    _header: _Decoder

    def encode(self, message: wire.FromAgent | wire.FromServer) -> bytes:
        """Serialise one message."""
        if self.is_text and isinstance(message, wire.PackedReport):
            message = message.unpacked()
        return self._encoder.encode(message)

    def from_agent(self, data: bytes) -> wire.FromAgent:
        """Read a `Report` or an `Ack`."""
        message = cast(wire.FromAgent, self._decode(self._from_agent, data))
        if message.v not in wire.VERSIONS:
            raise _unknown_version(message.v)
        return message

    def from_server(self, data: bytes) -> wire.FromServer:
        """Read a `Desired`, a `Received` or a `Refused`."""
        return cast(wire.FromServer, self._decode(self._from_server, data))

    def _decode(self, decoder: _Decoder, data: bytes) -> Any:
        if len(data) > wire.MAX_MESSAGE_BYTES:
            raise wire.WireError(
                wire.Refused(
                    code="too_large",
                    message=f"{len(data)} bytes; at most {wire.MAX_MESSAGE_BYTES} are taken",
                )
            )
        try:
            return decoder.decode(data)
        except RecursionError:
            raise wire.WireError(
                wire.Refused(code="malformed", message="nested too deep")
            ) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._check_version(data)
            raise _malformed(error) from None

    def _check_version(self, data: bytes) -> None:
        """An unknown version may have other fields: its version is the better complaint."""
        try:
            version = self._header.decode(data).v
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if version not in wire.VERSIONS:
            raise _unknown_version(version)


def _unknown_version(version: object) -> wire.WireError:
    known = ", ".join(map(str, wire.VERSIONS))
    return wire.WireError(
        wire.Refused(
            code="unknown_version",
            field="$.v",
            message=f"version {str(version)[:40]} is not known; known versions: {known}",
            versions=wire.VERSIONS,
        )
    )


def _malformed(error: Exception) -> wire.WireError:
    text = str(error)
    path = _PATH.search(text)
    missing = _MISSING.search(text)
    field = path["path"] if path else "$"
    return wire.WireError(
        wire.Refused(
            code="invalid" if path or missing else "malformed",
            field=f"{field}.{missing['name']}" if missing else field,
            message=_in_words(_PATH.sub("", text)),
        )
    )


def _in_words(message: str) -> str:
    """A complaint about a pattern names the rule instead."""
    head, found, pattern = message.partition(" matching regex ")
    if not found:
        return message
    if pattern.strip("'\"").startswith(names.PATTERN[:12]):
        return f"{head} that is a name: {names.ALLOWED}"
    rule = "without NUL" if "x00" in pattern else "of visible ASCII characters"
    return f"{head} {rule}"


MSGPACK: Final = Codec(
    name="msgpack",
    subprotocol=wire.SUBPROTOCOL_MSGPACK,
    content_type=wire.CONTENT_MSGPACK,
    is_text=False,
    _encoder=msgspec.msgpack.Encoder(),
    _from_agent=msgspec.msgpack.Decoder(wire.FromAgent),
    _from_server=msgspec.msgpack.Decoder(wire.FromServer),
    _header=msgspec.msgpack.Decoder(_Header),
)
JSON: Final = Codec(
    name="json",
    subprotocol=wire.SUBPROTOCOL_JSON,
    content_type=wire.CONTENT_JSON,
    is_text=True,
    _encoder=msgspec.json.Encoder(),
    _from_agent=msgspec.json.Decoder(wire.FromAgent),
    _from_server=msgspec.json.Decoder(wire.FromServer),
    _header=msgspec.json.Decoder(_Header),
)
CODECS: Final = (MSGPACK, JSON)
