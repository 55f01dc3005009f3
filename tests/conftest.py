"""What every test may use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management import call_command

from dashboard.access.models import Person
from dashboard.access.roles import OPERATOR, VIEWER


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each module is a group, unless it belongs to one. Browsers last: from the first of them on, a
    loop of Playwright's runs in the main thread, in which no other test can start its own. Of
    theirs, the largest group first, so that two processes end at about the same time."""
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))
    sizes = Counter(group(item) for item in items)

    def place(item: pytest.Item) -> tuple[bool, int]:
        is_browser = item.get_closest_marker("e2e") is not None
        return is_browser, -sizes[group(item)] if is_browser else 0

    items.sort(key=place)


def group(item: pytest.Item) -> str:
    """Tests of the same group share a process."""
    marker = item.get_closest_marker("xdist_group")
    assert marker
    return str(marker.args[0])


@pytest.fixture(scope="session")
def static_files() -> None:
    """Pages name static files by their hashes: collect them once, where the settings say."""
    if not (settings.STATIC_ROOT / "staticfiles.json").exists():
        call_command("collectstatic", interactive=False, verbosity=0)


@pytest.fixture
def person(db: None) -> Callable[[str], Person]:
    """Make somebody with a role, who has no password."""

    def make(role: str) -> Person:
        made = Person.objects.create(username=role, is_staff=role != VIEWER)
        made.groups.set(Group.objects.filter(name=role))
        return made

    return make


@pytest.fixture
def operator(person: Callable[[str], Person]) -> Person:
    return person(OPERATOR)


@pytest.fixture
def viewer(person: Callable[[str], Person]) -> Person:
    return person(VIEWER)
