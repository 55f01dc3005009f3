"""Ingest variants of the message structs: latency sketches stay packed, for fast decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import GenericAlias
from typing import Annotated, Any, Final, get_type_hints

import msgspec

from breakers.protocol import messages as wire
from dashboard.bus.sketches import Packed, unpacked

_NOTHING: Final = msgspec.Raw(b"\x80")


class Sketch(msgspec.Struct, omit_defaults=True):
    """A `wire.Histogram` whose buckets nobody has looked at yet."""

    packed: msgspec.Raw = msgspec.field(default=_NOTHING, name="buckets")
    sum_s: wire.Seconds = 0.0

    @property
    def buckets(self) -> dict[int, int]:
        """As `wire.Histogram` has them."""
        return unpacked(self.packed)


def buckets_of(histogram: wire.Histogram | Sketch) -> Packed | Mapping[int, int]:
    """The buckets as they are, packed or not."""
    return histogram.packed if isinstance(histogram, Sketch) else histogram.buckets


def ingest_report(*, checked: bool) -> Any:
    """A subclass of `wire.Report` with such sketches. Decoding one checks types; if `checked`,
    bounds, lengths and patterns too, but for the pattern of a breaker's own texts: to match each
    costs more than to decode all of a report."""
    breaker = _remade(
        wire.BreakerReport,
        checked,
        {"counts": _remade(wire.Counts, checked, {}), "histogram": Sketch},
        unmatched=("name", "cause"),
    )
    return _remade(wire.Report, checked, {"breakers": GenericAlias(list, (breaker,))})


def _remade(
    kind: type[msgspec.Struct],
    checked: bool,
    inner: Mapping[str, Any],
    unmatched: Sequence[str] = (),
) -> Any:
    """A subclass of a struct; `inner` replaces some types and keeps their limits."""
    types = {**get_type_hints(kind), **inner}
    limited = get_type_hints(kind, include_extras=checked)
    fields = []
    for each in msgspec.structs.fields(kind):
        limits = getattr(limited[each.name], "__metadata__", ())
        if each.name in unmatched:
            limits = [_without_pattern(limit) for limit in limits]
        hint = types[each.name]
        for limit in limits:
            hint = Annotated[hint, limit]
        fields.append((each.name, hint, _default(each, inner)))
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


def _without_pattern(limit: msgspec.Meta) -> msgspec.Meta:
    return msgspec.Meta(
        min_length=limit.min_length, max_length=limit.max_length, description=limit.description
    )


def _default(field: msgspec.structs.FieldInfo, inner: Mapping[str, Any]) -> Any:
    if field.name in inner and isinstance(field.default_factory, type):
        return msgspec.field(default_factory=inner[field.name])
    if field.default_factory is not msgspec.NODEFAULT:
        return msgspec.field(default_factory=field.default_factory)
    return field.default
