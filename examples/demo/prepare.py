"""Prepares the dashboard of a demo in one process: starting Django once is what costs the time.

`python -m examples.demo.prepare PORT STEP…`, in the environment of that demo's dashboard.
"""

from __future__ import annotations

import sys

import django
from django.core.management import call_command

from examples import parent_watchdog
from examples.demo.state import PEOPLE, SERVICES, State

ROLES = {
    "viewer": ["viewer"],
    "operator": ["operator", "policy editor"],
    "admin": ["admin"],
}


def database(state: State) -> None:
    """Bring the tables, the people and the services' tokens up to date."""
    call_command("migrate", interactive=False, verbosity=0)
    for person in PEOPLE:
        # Options that may be repeated are passed as on a command line: call_command joins a list.
        roles = [f"--role={role}" for role in ROLES[person]]
        call_command("create_person", person, *roles, password_file=state.password(person))
    for service in SERVICES:
        call_command("create_token", service, name="demo", value_file=state.token(service))


def static(state: State) -> None:
    """Collect the static files under hashed names."""
    call_command("collectstatic", interactive=False, verbosity=0)


STEPS = {"database": database, "static": static}


def main() -> None:
    """Do the steps that the command line names."""
    parent_watchdog.hold_on_to_parent()
    state = State(int(sys.argv[1]))
    django.setup()
    for step in sys.argv[2:]:
        STEPS[step](state)


if __name__ == "__main__":
    main()
