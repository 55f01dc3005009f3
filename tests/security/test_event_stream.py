"""The event stream of a running dashboard: what happens comes at once, a resumption leaves nothing
out, and it ends with the token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from breakers.cli.events import parse
from tests.dashboard.api.agents.talking import report
from tests.examples.running import http
from tests.security.conftest import Live

Event = tuple[str, str, dict[str, Any]]
_TOKEN = """
from datetime import timedelta
from django.utils import timezone
from dashboard.access.models import Person
from dashboard.access.personal_tokens import create_personal_token
ada = Person.objects.get(username="admin")
token, raw = create_personal_token(ada, "stream", ("read",), timezone.now() + timedelta(days=1))
print(json.dumps([token.pk, raw]))
"""


def mark(live: Live, text: str) -> None:
    """Something that happens."""
    live.dashboard.python(
        "from dashboard.access.services import audit\n"
        f"audit(None, 'happened', service='shop', reason={text!r})\nprint('true')"
    )


@contextmanager
def following(live: Live, token: str, last_id: str = "") -> Iterator[Iterator[Event]]:
    headers = {"Authorization": f"Bearer {token}"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    with (
        httpx.Client(trust_env=False, timeout=60) as client,
        client.stream("GET", f"{live.url}/api/v1/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream"
        yield parse(answer.iter_lines())


def until(events: Iterator[Event], reason: str) -> list[Event]:
    """The events up to that of a reason."""
    found = []
    for each in events:
        found.append(each)
        if each[2].get("reason") == reason:
            return found
    pytest.fail(f"the stream ended before {reason!r}")


def test_what_happens_comes_and_a_resumption_leaves_nothing_out(live: Live) -> None:
    token = live.tokens["viewer"]
    with following(live, token) as events:
        assert next(events)[1] == "begin"
        mark(live, "first")
        last_id, kind, data = until(events, "first")[-1]
    assert kind == "audit"
    assert data["act"] == "happened"
    for n in range(3):
        mark(live, f"meanwhile {n}")
    with following(live, token, last_id) as events:
        found = [each[2]["reason"] for each in until(events, "meanwhile 2") if each[1] == "audit"]
    assert found == ["meanwhile 0", "meanwhile 1", "meanwhile 2"]


def test_changes_of_breakers_come_too(live: Live) -> None:
    headers = {"Authorization": f"Bearer {live.service_token}"}
    change = {"id": 1, "ago_s": 0.1, "from": "closed", "to": "open", "cause": "5 failures",
              "window": {"calls": 5, "failures": 5, "consecutive_failures": 5}}  # fmt: skip
    breaker = {"name": "streamed", "state": "open", "transitions": [change]}
    with following(live, live.tokens["viewer"]) as events:
        next(events)
        sent = report(1, "streamed", breakers=[breaker])
        http.post(f"{live.url}/api/v1/reports", json=sent, headers=headers).raise_for_status()
        found = next(each for each in events if each[1] == "transition")
    assert (found[2]["breaker"], found[2]["before"], found[2]["after"]) == (
        "streamed", "closed", "open",
    )  # fmt: skip


def test_it_ends_soon_after_its_token_is_revoked(live: Live) -> None:
    pk, token = live.dashboard.python(_TOKEN)
    with following(live, token) as events:
        next(events)
        headers = {"Authorization": f"Bearer {token}"}
        http.delete(f"{live.url}/api/v1/tokens/{pk}", headers=headers).raise_for_status()
        last = [each for each in events if each[1] != "transition"][-1]
    assert last[1] == "end"


def test_a_caller_has_a_few_streams_at_most(live: Live) -> None:
    headers = {"Authorization": f"Bearer {live.tokens['operator']}"}
    with ExitStack() as stack:
        opened = [stack.enter_context(following(live, live.tokens["operator"])) for _ in range(4)]
        for each in opened:
            next(each)
        refused = http.get(f"{live.url}/api/v1/events", headers=headers)
        assert refused.status_code == 429
        assert refused.json()["code"] == "too_many_streams"


@pytest.mark.parametrize("wrong", ["x", "1", "-1-1", "1-nan", "1-1e400", "9" * 50])
def test_an_id_that_is_not_ours_is_refused(live: Live, wrong: str) -> None:
    headers = {"Authorization": f"Bearer {live.tokens['viewer']}", "Last-Event-ID": wrong}
    answer = http.get(f"{live.url}/api/v1/events", headers=headers)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Last-Event-ID"
