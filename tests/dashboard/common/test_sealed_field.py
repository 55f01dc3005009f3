"""Secrets are encrypted in the database, whatever they look like."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from dashboard.alerts.models import Channel
from dashboard.common.sealed_field import seal, unseal


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["s3cret", "sealed:", "sealed:gAAAA", "ü" * 50])
def test_what_is_saved_is_read_again_and_is_not_in_the_row(text: str) -> None:
    made = Channel.objects.create(name="hook", url="https://example.com/x", secret=text)
    again = Channel.objects.get(pk=made.pk)
    assert again.secret == text
    again.save()
    assert Channel.objects.get(pk=made.pk).secret == text
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT "secret" FROM "{Channel._meta.db_table}"')
        ((stored,),) = cursor.fetchall()
    assert stored != text
    assert stored.startswith("sealed:")


def test_the_key_before_is_still_read_and_another_is_not(settings: Any) -> None:
    stored = seal("s3cret")
    before, settings.SECRET_KEY = (
        settings.SECRET_KEY,
        "another key of at least fifty characters, long",
    )
    assert unseal(stored) == ""
    settings.SECRET_KEY_FALLBACKS = [before]
    assert unseal(stored) == "s3cret"


def test_the_empty_text_stays_empty() -> None:
    assert seal("") == ""
    assert unseal("") == ""
