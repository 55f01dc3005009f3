"""The command line `switchgear`: operates a dashboard through its REST API.

Each subcommand is a module of this package that registers itself on `main` when it is imported.
Requires the extra `switchgear[cli]`.
"""

from breakers.cli.application import main

# Subcommands register on import.
from breakers.cli import (  # noqa: F401  isort: skip
    access,
    alerts,
    override_commands,
    audit,
    dependents,
    drills,
    events,
    login,
    markers,
    mcp_server,
    incidents,
    policies,
    policy_commands,
    instances,
    recordings,
    simulate,
    status,
    tokens,
    watch,
)

__all__ = ["main"]
