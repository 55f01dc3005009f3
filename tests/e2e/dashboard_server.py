"""A dashboard server whose fleet reports what a test sends."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from playwright.sync_api import Browser, Page

from breakers.protocol.messages import MAX_BREAKERS
from tests.dashboard.child_process import Dashboard, embedded_dashboard
from tests.examples.running import eventually, http

HOSTILE = '</script><img src=x onerror="window.pwned=1">'
METRICS_TOKEN = "scraped by a test"
INTERVAL_S = 5.0
_numbers = count(1)
SLASHES = "a/b?c=1#d %2F ☂"


class Login(Protocol):
    """A server that people log in to."""

    passwords: dict[str, str]
    sessions: dict[str, Any]

    @property
    def url(self) -> str: ...


def session(browser: Browser, site: Login, person: str) -> Any:
    """The cookies of a login. Each person logs in once, because hashing a password is slow."""
    if person not in site.sessions:
        page = browser.new_page()
        page.goto(f"{site.url}/login")
        page.get_by_label("Name").fill(person)
        page.get_by_label("Password").fill(site.passwords[person])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{site.url}/")
        site.sessions[person] = page.context.storage_state()
        page.context.close()
    return site.sessions[person]


@dataclass
class Site:
    """A dashboard, the passwords of its users, and the sequence numbers of its agents."""

    dashboard: Dashboard
    passwords: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    seqs: dict[tuple[str, str], int] = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)
    versions: dict[tuple[str, str], str] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)
    shown: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    reader: str = ""

    @property
    def url(self) -> str:
        return self.dashboard.url

    def report(
        self, service: str, *breakers: dict[str, Any], instance: str = "one", revision: int = 0
    ) -> None:
        """Send a report of an agent that has applied a revision of the desired state, and wait
        until the pages know its breakers: a receipt says that it is kept, not that it is shown."""
        if service not in self.tokens:
            self.tokens[service] = self.dashboard.token(service)
        with self.turn:
            self._send(service, instance, breakers, revision)
        new = {str(each["name"]) for each in breakers} - self.shown[service]
        # The others are over capacity.
        if new and len(self.shown[service] | new) <= MAX_BREAKERS:
            eventually(lambda: new <= self._known(service), 10)
            self.shown[service] |= new

    def _known(self, service: str) -> set[str]:
        if not self.reader:
            self.reader = self.personal_token("viewer")
        answer = http.get(
            f"{self.url}/api/v1/services/{quote(service, safe='')}",
            headers={"Authorization": f"Bearer {self.reader}"},
        )
        return {each["name"] for each in answer.raise_for_status().json()["breakers"]}

    def keep_alive(self) -> None:
        """Send an empty report of every instance, so that none becomes stale."""
        for service, instance in tuple(self.seqs):
            with self.turn:
                # It may have stopped meanwhile.
                if (service, instance) in self.seqs:
                    self._send(service, instance, ())

    def stop_reporting(self, service: str, instance: str) -> None:
        """Let an instance be heard of no more: it is stale after three intervals."""
        with self.turn:
            del self.seqs[service, instance]

    def _send(
        self, service: str, instance: str, breakers: Sequence[dict[str, Any]], revision: int = 0
    ) -> None:
        seq = self.seqs[service, instance] = self.seqs.get((service, instance), 0) + 1
        version = self.versions.get((service, instance), "1.4.2")
        body = {
            "type": "report",
            "service": service,
            "instance": {
                "id": instance,
                # A later process of the same host would be the successor of a silent one.
                "host": f"host-of-{instance}",
                "version": version,
                "zone": "eu-1a",
            },
            "boot": "b",
            "seq": seq,
            "interval_s": INTERVAL_S,
            "revision": revision,
            "breakers": list(breakers),
        }
        headers = {"Authorization": f"Bearer {self.tokens[service]}"}
        answer = http.post(f"{self.url}/api/v1/reports", json=body, headers=headers)
        assert answer.status_code == 200, answer.text

    def page(self, browser: Browser, person: str = "operator", **options: Any) -> Page:
        """A new window in which `person` is logged in. `page.complaints` has its console errors."""
        options.setdefault("viewport", {"width": 1440, "height": 900})
        state = session(browser, self, person)
        page = browser.new_context(storage_state=state, **options).new_page()
        page.set_default_timeout(15_000)
        complaints: list[str] = []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.complaints = complaints  # type: ignore[attr-defined]
        return page

    def personal_token(self, person: str) -> str:
        """A new token of a person, with every scope, for the API and the command line."""
        return str(
            self.dashboard.python(
                "from datetime import timedelta\n"
                "from django.utils import timezone\n"
                "from dashboard.access.models import Person\n"
                "from dashboard.access.personal_tokens import SCOPES, create_personal_token\n"
                f"who = Person.objects.get(username={person!r})\n"
                "ends = timezone.now() + timedelta(days=1)\n"
                "print(json.dumps(create_personal_token(who, 'test', tuple(SCOPES), ends)[1]))"
            )
        )

    def status_link(self) -> str:
        """The address of a new status link."""
        raw = self.dashboard.python(
            "from datetime import timedelta\n"
            "from django.utils import timezone\n"
            "from dashboard.access.models import Person\n"
            "from dashboard.access.status_links import create_status_link\n"
            "ada = Person.objects.get(username='admin')\n"
            "raw = create_status_link(ada, 'board', timezone.now() + timedelta(days=1))\n"
            "print(json.dumps(raw))"
        )
        return f"{self.url}/status/{raw}"


def breaker(name: str, state: str = "closed", was: str = "", **more: Any) -> dict[str, Any]:
    """A breaker of a report; `was` adds the transition to its state."""
    said: dict[str, Any] = {
        "name": name,
        "state": state,
        "since_s": 2.0,
        "counts": {"success": 30, "failure": 3},
        "histogram": {"buckets": {"-36": 20, "-28": 10, "-20": 3}, "sum_s": 2.5},
    }
    if was:
        window = {"calls": 20, "failures": 10, "consecutive_failures": 5}
        change = {"id": next(_numbers), "ago_s": 0.5, "from": was, "to": state}
        said["transitions"] = [{**change, "cause": "5 failures in a row", "window": window}]
    return said | more


def everything(site: Site) -> None:
    """Every state, a cascade, and hostile names."""
    site.report("web", breaker("api", "open", was="closed"))
    site.report("web", breaker("api", "half_open"), instance="two")
    site.report(
        "api",
        breaker("posts", "open", was="closed", policy={"timeout": 0.5}),
        breaker("users", "half_open"),
        breaker("mail", "metrics_only"),
        breaker("search", "forced_closed"),
        breaker("cache", "forced_open"),
        breaker("db"),
        breaker(SLASHES, "open", cause=HOSTILE),
        breaker(HOSTILE, "open", was="closed", cause=HOSTILE),
        breaker("x" * 120),
    )


@contextmanager
def running_site(directory: Path, *, filled: bool = True, **more: str) -> Iterator[Site]:
    """One process on SQLite with debug on, so that the styleguide is served."""
    settings = {"SWITCHGEAR_DEBUG": "1", "SWITCHGEAR_CHECKPOINT": "0.1", **more}
    settings["SWITCHGEAR_METRICS_TOKEN"] = METRICS_TOKEN
    with embedded_dashboard(directory, **settings) as dashboard:
        site = Site(dashboard)
        for person in ("operator", "viewer", "admin"):
            said = dashboard.manage("create_person", person, "--role", person)
            site.passwords[person] = said.partition("password: ")[2].strip()
        if filled:
            everything(site)
        over = threading.Event()

        def beat() -> None:
            while not over.wait(INTERVAL_S):
                site.keep_alive()

        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        yield site
        over.set()
        heart.join()
