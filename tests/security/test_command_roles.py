"""Every command of `switchgear` against every role, over HTTP to a running dashboard. A new command
without a row fails."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import pytest
from click.testing import CliRunner

from breakers.cli import exit_codes, main
from tests.dashboard.api.agents.talking import report
from tests.examples.running import http
from tests.security.command_table import ALERTS_FILE, COMMANDS, POLICIES_FILE, Row
from tests.security.conftest import Live
from tests.security.roles import ANONYMOUS, ROLES

REFUSED: Final = {exit_codes.UNAUTHENTICATED, exit_codes.FORBIDDEN, exit_codes.NOT_FOUND}
_OBJECTS: Final = """
import uuid
from datetime import timedelta
from django.utils import timezone
from dashboard.access.models import Person
from dashboard.access.people import keep_person
from dashboard.access.personal_tokens import create_personal_token
from dashboard.control import actions, drills
from dashboard.control.models import DrillRun, Override, RecordingOrder
from dashboard.control.override_writes import Target
RecordingOrder.objects.all().delete()
DrillRun.objects.all().delete()
root = keep_person("root", ["admin"])
act = str(uuid.uuid4())
actions.act(root, act, [Target("shop", "db")], "forced_closed", "a reason", 600.0)
held = Override.objects.get(ended=None, service="shop", breaker="db").pk
person = Person.objects.get(username={name!r})
spare, _ = create_personal_token(person, "s", ("read",), timezone.now() + timedelta(days=1))
drill = drills.save(root, str(uuid.uuid4()), "shop", "db", "error")
ran = drills.run(root, drills.save(root, "under way", "shop", "cache", "error"), "a reason")
found = {{"act": act, "override": held, "spare": spare.pk, "drill": drill.name, "run": ran.pk}}
print(json.dumps(found))
"""


def commands(group: click.Command = main, path: tuple[str, ...] = ()) -> Iterator[str]:
    """The name of each command, with those of its groups."""
    if not isinstance(group, click.Group):
        yield " ".join(path)
        return
    for name, each in group.commands.items():
        yield from commands(each, (*path, name))


def test_every_command_has_a_row_and_every_row_a_command() -> None:
    assert set(commands()) == set(COMMANDS)


@contextmanager
def interrupted(after_s: float) -> Iterator[None]:
    """Ctrl-C after some time."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def shop(live: Live) -> None:
    # It stays fresh, however long the tests take.
    sent = report(1, "roles", interval_s=300.0)
    sent["breakers"] = [{"name": name, "state": "closed"} for name in ("db", "cache")]
    headers = {"Authorization": f"Bearer {live.service_token}"}
    http.post(f"{live.url}/api/v1/reports", json=sent, headers=headers).raise_for_status()


def run(live: Live, role: str, command: str, row: Row, home: Path) -> tuple[int, str]:
    """The exit code of a command of this role, and what it said."""
    values = {"url": live.url, "token": live.tokens.get(role, "none")}
    if role != ANONYMOUS and "{" in row.arguments:
        found = live.dashboard.python(_OBJECTS.format(name=role.replace(" ", "-")))
        values |= {name: str(value) for name, value in found.items()}
    for name, text in (("policies", POLICIES_FILE), ("alerts", ALERTS_FILE)):
        values[name] = str(home / f"{name}.yaml")
        Path(values[name]).write_text(text)
    for name in ("act", "override", "spare", "drill", "run"):
        values.setdefault(name, "1")
    env = {
        "SWITCHGEAR_CONFIG": str(home / "config.json"),
        "SWITCHGEAR_URL": live.url,
        "SWITCHGEAR_API_TOKEN": live.tokens.get(role),
    }
    arguments = [each.format(**values) for each in row.arguments.split()]
    with interrupted(2.0 if row.is_endless else 120.0):
        done = CliRunner().invoke(main, [*command.split(), *arguments], env=env, input="")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize("role", ROLES)
def test_a_command_is_open_to_its_roles_alone(
    live: Live, shop: None, role: str, tmp_path: Path
) -> None:
    wrong = []
    for command, row in COMMANDS.items():
        code, said = run(live, role, command, row, tmp_path)
        if code not in (row.ends if role in row.may else REFUSED):
            wrong.append((command, code, said[-200:]))
    assert not wrong
