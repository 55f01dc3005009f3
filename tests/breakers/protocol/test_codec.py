"""What goes in comes out, in both formats; whatever is not of the protocol is a `WireError`."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers import State
from breakers.protocol import messages as wire
from breakers.protocol.codec import CODECS, JSON, MSGPACK, Codec
from breakers.protocol.names import is_name

names = st.text(
    st.characters(
        exclude_categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"], codec="utf-8"
    ),
    min_size=1,
    max_size=120,
).filter(is_name)
identifiers = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=120
)
numbers = st.integers(0, 2**40)
states = st.sampled_from([state.value for state in State])
seconds = st.floats(0, 1e9)
counts = st.builds(wire.Counts, **dict.fromkeys(wire.Counts.__struct_fields__, numbers))
breakers = st.builds(
    wire.BreakerReport,
    name=names,
    state=states,
    since_s=seconds,
    cause=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=50),
    counts=counts,
    histogram=st.builds(
        wire.Histogram,
        buckets=st.dictionaries(st.integers(-160, 136), numbers, max_size=5),
        sum_s=seconds,
    ),
    transitions=st.lists(
        st.builds(
            wire.Transition, id=numbers, ago_s=seconds, from_=states, to=states, cause=st.just("x")
        ),
        max_size=3,
    ),
)
reports = st.builds(
    wire.Report,
    service=names,
    instance=st.builds(wire.Instance, id=names, host=st.just("h"), pid=numbers),
    boot=identifiers,
    seq=st.integers(1, 2**53),
    interval_s=st.floats(0.001, 86_400),
    breakers=st.lists(breakers, max_size=3),
    age_s=seconds,
    revision=numbers,
    v=st.just(1),
)
desired = st.builds(
    wire.Desired,
    revision=numbers,
    overrides=st.lists(
        st.builds(
            wire.Override,
            id=identifiers,
            breaker=names,
            state=identifiers,
            instances=st.none() | st.lists(names, max_size=3),
            expires_in_s=st.none() | seconds,
        ),
        max_size=3,
    ),
    policies=st.lists(
        st.builds(
            wire.PolicyItem,
            breaker=names,
            fields=st.dictionaries(names, st.none() | st.booleans() | numbers | seconds),
            instances=st.none(),
        ),
        max_size=3,
    ),
    interval_s=st.floats(0.001, 86_400),
    server_time=st.floats(0, 1e11),
)
either = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)


@given(reports)
def test_reports_come_out_as_they_went_in(report: wire.Report) -> None:
    for codec in CODECS:
        assert codec.from_agent(codec.encode(report)) == report


@given(desired)
def test_desired_states_come_out_as_they_went_in(message: wire.Desired) -> None:
    for codec in CODECS:
        assert codec.from_server(codec.encode(message)) == message


@given(st.binary(max_size=300))
def test_any_bytes_are_either_a_message_or_a_wire_error(data: bytes) -> None:
    for codec in CODECS:
        for decode in (codec.from_agent, codec.from_server):
            with contextlib.suppress(wire.WireError):
                decode(data)


@given(reports, st.integers(0, 10_000), st.binary(min_size=1, max_size=4))
def test_a_damaged_report_is_either_a_message_or_a_wire_error(
    report: wire.Report, at: int, damage: bytes
) -> None:
    for codec in CODECS:
        data = codec.encode(report)
        where = at % len(data)
        with contextlib.suppress(wire.WireError):
            codec.from_agent(data[:where] + damage + data[where + len(damage) :])


@either
def test_too_large_is_refused_before_it_is_read(codec: Codec) -> None:
    with pytest.raises(wire.WireError) as caught:
        codec.from_agent(b"\x00" * (wire.MAX_MESSAGE_BYTES + 1))
    assert caught.value.refused.code == "too_large"


@pytest.mark.parametrize(
    ("codec", "data"),
    [(JSON, b"[" * 100_000), (MSGPACK, b"\x91" * 100_000), (JSON, b'{"a":' * 50_000)],
    ids=["json lists", "msgpack lists", "json objects"],
)
def test_nesting_without_end_is_refused(codec: Codec, data: bytes) -> None:
    with pytest.raises(wire.WireError):
        codec.from_agent(data)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e300])
def test_no_number_that_is_none_gets_through(number: float) -> None:
    report = wire.Report("s", wire.Instance("i"), "b", 1, 1.0, age_s=number)
    with pytest.raises(wire.WireError) as caught:
        MSGPACK.from_agent(MSGPACK.encode(report))
    assert caught.value.refused.field == "$.age_s"


@either
@pytest.mark.parametrize("version", [0, 2, -1, 10**9])
def test_an_unknown_version_is_told_the_known_ones(codec: Codec, version: int) -> None:
    ack = wire.Ack("s", "i", 1, v=version)
    with pytest.raises(wire.WireError) as caught:
        codec.from_agent(codec.encode(ack))
    assert caught.value.refused.versions == wire.VERSIONS


@either
def test_an_agent_cannot_speak_as_a_server(codec: Codec) -> None:
    with pytest.raises(wire.WireError):
        codec.from_agent(codec.encode(wire.Received("b", 1)))
    with pytest.raises(wire.WireError):
        codec.from_server(codec.encode(wire.Ack("s", "i", 1)))


def test_a_typical_report_of_twenty_breakers_is_small() -> None:
    histogram = wire.Histogram(dict.fromkeys(range(-60, -30), 30), 10.0)
    report = wire.Report(
        "profile-api",
        wire.Instance("web-1", "web-1", 41),
        "5f0c6a2b9d3e4f10",
        42,
        1.0,
        [
            wire.BreakerReport(
                f"breaker-{n}", "closed", 5.0, counts=wire.Counts(success=1000), histogram=histogram
            )
            for n in range(20)
        ],
    )
    assert len(MSGPACK.encode(report)) < 5000
    assert msgspec.json.decode(JSON.encode(report))["type"] == "report"
