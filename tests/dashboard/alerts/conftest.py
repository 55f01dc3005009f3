"""Fixtures for alerts."""

from __future__ import annotations

import pytest

from breakers import Registry
from dashboard.alerts import channels, delivery
from dashboard.alerts.models import Rule
from dashboard.alerts.rule_kinds import DEFAULT_RULES, KINDS, params_of
from dashboard.web import incidents


@pytest.fixture(autouse=True)
def default_rules(request: pytest.FixtureRequest) -> None:
    """The rules of the migration: tests that flush the database remove them."""
    if request.node.get_closest_marker("django_db") is None:
        return
    request.getfixturevalue(
        "db" if "transactional_db" not in request.fixturenames else "transactional_db"
    )
    for name, kind, severity, params in DEFAULT_RULES:
        Rule.objects.get_or_create(
            name=name,
            defaults={
                "kind": kind,
                "params": params_of(kind, params),
                "severity": severity,
                "for_s": KINDS[kind].for_s,
            },
        )


@pytest.fixture(autouse=True)
def channels_with_closed_breakers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of channels come again after each test that is rolled back; their breakers,
    and threads that wait, would stay."""
    monkeypatch.setattr(delivery, "_registry", Registry(max_breakers=2000))
    monkeypatch.setattr(channels, "_hanging", {})
    monkeypatch.setattr(incidents, "_helps", {})
