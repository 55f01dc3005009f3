"""Values as people type them, and the form that takes them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from breakers.circuit.policy import FieldSpec, Policy
from breakers.errors import PolicyError
from dashboard.access.models import Person
from dashboard.policies import services
from dashboard.policies.forms import PolicyForm
from dashboard.policies.knobs import KNOBS, sent
from dashboard.policies.models import BreakerPolicy
from dashboard.policies.quantities import parse, show

SPECS = sorted(KNOBS.values(), key=lambda spec: spec.name)


def values(spec: FieldSpec) -> st.SearchStrategy[Any]:
    if spec.choices:
        return st.sampled_from(spec.choices)
    if spec.kind is int:
        found: st.SearchStrategy[Any] = st.integers(int(spec.minimum), int(spec.maximum))
    else:
        found = st.floats(spec.minimum, spec.maximum)
    return st.one_of(st.none(), found) if spec.nullable else found


@given(st.sampled_from(SPECS).flatmap(lambda spec: st.tuples(st.just(spec), values(spec))))
def test_what_is_shown_can_be_typed(pair: tuple[FieldSpec, Any]) -> None:
    spec, value = pair
    assert parse(spec, show(spec, value)) == value


@given(st.sampled_from(SPECS), st.one_of(st.text(max_size=80), st.floats().map(repr)))
def test_any_text_is_a_value_in_range_or_a_policy_error(spec: FieldSpec, text: str) -> None:
    try:
        value = parse(spec, text)
    except PolicyError:
        return
    assert spec.check(value) == value


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("timeout", "250 ms", 0.25),
        ("timeout", "250ms", 0.25),
        ("timeout", "2", 2.0),
        ("timeout_duration", "5 min", 300.0),
        ("timeout_duration", "1 h", 3600.0),
        ("failure_rate_threshold", "50 %", 0.5),
        ("failure_rate_threshold", "0.5", 0.5),
        ("rate_limit", "90 calls/min", 1.5),
        ("retries", "3", 3),
        ("timeout", "OFF", None),
        ("window_type", "time", "time"),
    ],
)
def test_texts(field: str, text: str, value: Any) -> None:
    assert parse(KNOBS[field], text) == value


@pytest.mark.parametrize(
    "text",
    ["-1", "0", "nan", "inf", "1e308", "1e999", "ten", "٣ s", "5 parsecs", "2 s 3 ms", "1,5 s"],
)
def test_a_refusal_says_what_was_typed_and_what_would_be_right(text: str) -> None:
    with pytest.raises(PolicyError) as error:
        parse(KNOBS["timeout"], text)
    assert error.value.value == text
    assert "from 1 ms to 1 h" in error.value.allowed


@pytest.mark.parametrize("text", ["2.5", "1e3", "off", "3 s"])
def test_a_count_is_a_whole_number(text: str) -> None:
    if text == "1e3":
        assert parse(KNOBS["window_size"], text) == 1000
        return
    with pytest.raises(PolicyError):
        parse(KNOBS["retries"], text)


class TestForm(TestCase):
    @settings(max_examples=40, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(sorted(KNOBS)),
            st.one_of(st.integers(-2, 200), st.floats(-1, 5000), st.sampled_from(["count", "x"])),
            max_size=4,
        )
    )
    def test_it_takes_what_the_library_takes_and_nothing_else(self, fields: dict[str, Any]) -> None:
        form = PolicyForm(
            {"service": "shop", "breaker": "posts", **{k: str(v) for k, v in fields.items()}}
        )
        expected = True
        try:
            # The rules of the fleet are the dashboard's own; the library does not know them.
            checked = {name: KNOBS[name].check(value) for name, value in fields.items()}
            policy = Policy().replace(sent(checked))
            expected = not services.contradictions({**policy.as_dict(), **checked})
        except PolicyError:
            expected = False
        assert form.is_valid() is expected, form.errors


@pytest.mark.django_db
def test_attempts_longer_than_the_deadline_are_refused_with_numbers() -> None:
    typed = {"timeout": "2 s", "retries": "3", "deadline": "5 s", "retry_delay": "500 ms"}
    form = PolicyForm({"service": "shop", "breaker": "posts", **typed})
    assert form.errors == {
        "deadline": [
            "3 attempts of 2 s with pauses take up to 7.5 s: longer than the total deadline of 5 s."
        ]
    }


@pytest.mark.django_db
def test_a_form_over_a_newer_version_keeps_what_was_typed(operator: Person) -> None:
    services.save(operator, "shop", "posts", {"timeout": 0.5})
    head = BreakerPolicy.objects.get()
    form = PolicyForm(
        {"service": "shop", "breaker": "posts", "timeout": "300 ms", "base": "1"}, instance=head
    )
    services.save(operator, "shop", "posts", {"timeout": 0.4, "retries": 1})
    assert form.is_valid()
    again = form.rebased()
    assert again.is_valid()
    assert again.cleaned_data["policy_fields"] == {"timeout": 0.3, "retries": 1}
    assert again.cleaned_data["base"] == 2


NUMBERS = ("-1", "0", "nan", "NaN", "inf", "-inf", "1e308", "1e-308")
HOSTILE = (*NUMBERS, "many", "٣", "１２", "0x10", "1_0", "", "\0")


@pytest.mark.django_db
@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", [spec.name for spec in SPECS if not spec.choices])
def test_a_hostile_value_is_refused_at_its_field_or_in_range(name: str, text: str) -> None:
    head = BreakerPolicy(service="shop", breaker="posts")
    form = PolicyForm(
        {"service": "shop", "breaker": "posts", "base": "0", name: text}, instance=head
    )
    if form.is_valid():
        saved = form.cleaned_data["policy_fields"]
        assert saved == ({name: KNOBS[name].check(saved[name])} if saved else {})
        assert saved or not text.strip()
    else:
        assert name in form.errors
