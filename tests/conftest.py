"""Fixtures for every test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from dashboard.access import audit_triggers
from dashboard.access.models import Person
from dashboard.access.roles import OPERATOR, POLICY_EDITOR, VIEWER

# Folders whose files share one demo, or one dashboard.
SHARED = ("tests/e2e/demo/", "tests/e2e/operators/")


def group(nodeid: str) -> str:
    """Tests of one group run in one process: those of a file, or of a folder whose files share a
    server."""
    path = nodeid.partition("::")[0]
    return next((each for each in SHARED if path.startswith(each)), path)


class ByGroup(LoadScopeScheduling):
    """Assigns one group at a time to each process."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByGroup | None:
    return ByGroup(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run browser tests last: Playwright's event loop then runs in the main thread, where no other
    test can start one. The largest of their groups runs first, so that two processes end at about
    the same time."""
    sizes = Counter(group(item.nodeid) for item in items)

    def place(item: pytest.Item) -> tuple[bool, int]:
        is_browser = item.get_closest_marker("e2e") is not None
        return is_browser, -sizes[group(item.nodeid)] if is_browser else 0

    items.sort(key=place)


@pytest.fixture(autouse=True, scope="session")
def flush_despite_audit_triggers() -> Iterator[None]:
    """Let Django empty the tables after a test with transactions; post_migrate restores the
    triggers that refuse it."""
    flush = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]

    def teardown(case: TransactionTestCase) -> None:
        audit_triggers.drop(connection)
        flush(case)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", teardown)
        yield


@pytest.fixture(scope="session")
def static_files() -> None:
    """Collect static files once, because pages refer to them by hashed names."""
    if not (settings.STATIC_ROOT / "staticfiles.json").exists():
        call_command("collectstatic", interactive=False, verbosity=0)


@pytest.fixture
def person(db: None) -> Callable[[str], Person]:
    """Create a person with roles and without a password. An operator edits policies too."""

    def make(role: str) -> Person:
        made = Person.objects.create(username=role, is_staff=role != VIEWER)
        roles = [OPERATOR, POLICY_EDITOR] if role == OPERATOR else [role]
        made.groups.set(Group.objects.filter(name__in=roles))
        return made

    return make


@pytest.fixture
def operator(person: Callable[[str], Person]) -> Person:
    return person(OPERATOR)


@pytest.fixture
def viewer(person: Callable[[str], Person]) -> Person:
    return person(VIEWER)
