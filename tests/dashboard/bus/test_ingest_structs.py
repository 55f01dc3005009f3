"""The ingest variants of the messages have the fields of the messages, in their order."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

from breakers.protocol import messages as wire
from dashboard.bus import ingest_structs as ingest

VARIANTS: list[tuple[type[msgspec.Struct], type[msgspec.Struct]]] = [
    (wire.Counts, ingest.CheckedCounts),
    (wire.Counts, ingest.StoredCounts),
    (wire.BreakerReport, ingest.CheckedBreakerReport),
    (wire.BreakerReport, ingest.StoredBreakerReport),
    (wire.Report, ingest.CheckedReport),
    (wire.Report, ingest.StoredReport),
]


def plain_message(hint: Any) -> Any:
    """A type without its limits, and ingest variants as what they stand for."""
    for original, variant in VARIANTS:
        if hint is variant:
            return original
    if hint is ingest.Sketch:
        return wire.Histogram
    if get_origin(hint) is Annotated:
        return plain_message(get_args(hint)[0])
    if arguments := get_args(hint):
        kind = Union if get_origin(hint) is UnionType else get_origin(hint)
        return kind, tuple(plain_message(each) for each in arguments)
    return hint


@pytest.mark.parametrize(("original", "variant"), VARIANTS)
def test_a_variant_has_the_fields_of_its_message(
    original: type[msgspec.Struct], variant: type[msgspec.Struct]
) -> None:
    assert variant.__struct_fields__ == original.__struct_fields__
    assert variant.__struct_encode_fields__ == original.__struct_encode_fields__
    theirs = get_type_hints(original, include_extras=True)
    ours = get_type_hints(variant, include_extras=True)
    for name in original.__struct_fields__:
        assert plain_message(ours[name]) == plain_message(theirs[name]), name
    assert variant.__struct_config__.tag == original.__struct_config__.tag


@pytest.mark.parametrize(("original", "variant"), VARIANTS)
def test_a_variant_has_the_defaults_of_its_message(
    original: type[msgspec.Struct], variant: type[msgspec.Struct]
) -> None:
    pairs = zip(msgspec.structs.fields(original), msgspec.structs.fields(variant), strict=True)
    for theirs, ours in pairs:
        if theirs.name in ("counts", "histogram"):
            continue
        assert ours.default == theirs.default, ours.name
        assert ours.default_factory == theirs.default_factory, ours.name


def test_the_limits_of_a_checked_report_are_those_of_the_message() -> None:
    """But for the patterns that are checked apart, and the bound of a count."""
    for original, variant in ((wire.Report, ingest.CheckedReport),):
        theirs, ours = (get_type_hints(each, include_extras=True) for each in (original, variant))
        for name in original.__struct_fields__:
            assert getattr(ours[name], "__metadata__", ()) == getattr(
                theirs[name], "__metadata__", ()
            ), name
