"""What a demo prints once it is up: where to look, who to be, what to play."""

from __future__ import annotations

from examples.demo.children import python
from examples.demo.state import State

_PEOPLE = {"operator": "acts", "viewer": "only looks", "admin": "everything"}


def card(state: State, director: str | None) -> str:
    """The card of a demo; `director` is the address of its shop, if it has one."""
    lines = ["", f"  Dashboard   {state.url}"]
    for who, may in _PEOPLE.items():
        label = "" if len(lines) > 2 else "Sign in as"
        lines.append(f"  {label:<10}  {who:<8}  {state.password(who).read_text()}  ({may})")
    if director is not None:
        lines += [
            "",
            f"  2:47 AM     {director}",
            "              starts and stops the incident, as does",
            f"              {python()} -m examples.shop incident start|stop",
        ]
    return "\n".join([*lines, "", "Ctrl-C stops everything.", ""])
