"""An operator at the dashboard's pages: signs in and acts by its forms, as a browser does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import httpx

from tests.dashboard.child_process import Dashboard

PASSWORD = "a password for the tests"


class Operator:
    """Somebody with the role; the static files of the dashboard must be collected."""

    def __init__(self, dashboard: Dashboard) -> None:
        dashboard.python(
            "from dashboard.access.people import keep_person\n"
            f"keep_person('ops', 'operator', {PASSWORD!r})\nprint('true')"
        )
        self._browser = httpx.Client(base_url=dashboard.url, trust_env=False, timeout=10.0)
        self._browser.get("/login").raise_for_status()
        self._post("/login", 302, login="ops", password=PASSWORD)

    def force(
        self, service: str, breaker: str, act: str, expires_in_s: float | None = None
    ) -> None:
        """`act` is force-open, force-closed or metrics-only; without an expiry for a quarter of an
        hour. An end is told in whole seconds."""
        until = datetime.now(UTC) + timedelta(seconds=(expires_in_s or 0) + 0.5)
        end = {"expires_in": "until", "until": until.strftime("%Y-%m-%dT%H:%M:%S")}
        fields = {"expires_in": "900"} if expires_in_s is None else end
        self._act(service, breaker, act, **fields)

    def lift(self, service: str, breaker: str) -> None:
        """Back to automatic."""
        self._act(service, breaker, "automatic")

    def _act(self, service: str, breaker: str, act: str, **fields: str) -> None:
        path = f"/services/{service}/breakers/{breaker}/{act}"
        self._post(path, 302, reason="a drill", **fields)

    def _post(self, path: str, expected: int, **fields: str) -> None:
        form = {**fields, "csrfmiddlewaretoken": self._browser.cookies["csrftoken"]}
        answer = self._browser.post(path, data=form)
        assert answer.status_code == expected, answer.text

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._browser.close()
