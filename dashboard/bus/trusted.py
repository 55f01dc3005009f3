"""Decodes what the gate has already checked, without checking it again.

Bounds, patterns and lengths cost a third of decoding a report. The structs here are those of
`breakers.wire`, made from them, without those checks; types are still held to.
"""

from __future__ import annotations

from types import GenericAlias
from typing import Any, Final, cast, get_type_hints

import msgspec

from breakers import wire


def _unchecked(kind: type[msgspec.Struct], **inner: Any) -> Any:
    """A subclass of a struct whose fields have their types alone; `inner` replaces some types."""
    hints = get_type_hints(kind)  # without what Annotated adds
    fields = [
        (each.name, inner.get(each.name, hints[each.name]), _default(each, inner))
        for each in msgspec.structs.fields(kind)
    ]
    config = kind.__struct_config__
    return msgspec.defstruct(
        kind.__name__,
        [each if each[2] is not msgspec.NODEFAULT else each[:2] for each in fields],
        bases=(kind,),
        tag_field=config.tag_field,
        tag=config.tag,
        kw_only=True,
        module=__name__,
    )


def _default(field: msgspec.structs.FieldInfo, inner: dict[str, Any]) -> Any:
    if field.name in inner and isinstance(field.default_factory, type):
        return msgspec.field(default_factory=inner[field.name])
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default


_Counts = _unchecked(wire.Counts)
_Histogram = _unchecked(wire.Histogram, buckets=dict[int, int])
_Breaker = _unchecked(wire.BreakerReport, counts=_Counts, histogram=_Histogram)
_Report = _unchecked(wire.Report, breakers=GenericAlias(list, (_Breaker,)))

_decode: Final = msgspec.msgpack.Decoder(GenericAlias(list, (_Report | wire.Ack,))).decode


def messages(entry: bytes) -> list[wire.FromAgent]:
    """The messages of one entry of the log.

    Raises:
        msgspec.DecodeError: they are not what a gate appends.
    """
    return cast(list[wire.FromAgent], _decode(entry))
