"""Fixtures: callers of the API with personal tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from dashboard.access.models import Person
from dashboard.access.personal_tokens import SCOPES, create_personal_token


class Api:
    """Requests with one token."""

    def __init__(self, token: str) -> None:
        self._client = Client(HTTP_AUTHORIZATION=f"Bearer {token}" if token else "")

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        return self._client.generic(
            method,
            "/api/v1" + path,
            data=b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        )


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    cache.clear()


@pytest.fixture
def api_of(db: None) -> Callable[..., Api]:
    """The API as a person calls it, with all scopes or with those named."""

    def make(person: Person, *scopes: str) -> Api:
        expires = timezone.now() + timedelta(days=1)
        _, raw = create_personal_token(person, "test", scopes or tuple(SCOPES), expires)
        return Api(raw)

    return make
