"""`switchgear policies`: keep policies as a YAML file, plan and apply changes, lint."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from breakers.cli import exit_codes
from breakers.cli.application import Context, main, pass_context
from breakers.cli.client import CliError

WORSE: Final = 2
FOUND: Final = 1
_MAX_BYTES: Final = 1_000_000
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@main.group()
def policies() -> None:
    """Policies as code."""


@policies.command()
@click.argument("file", type=_FILE, required=False)
@pass_context
def export(context: Context, file: Path | None) -> None:
    """Write the policies in force as YAML, to FILE or to standard output.

    Comments and the order of an existing FILE are kept.
    """
    document = context.client.get("/policies")
    if context.as_json:
        context.show(document, lambda console, data: None)
        return
    kept = load(file) if file is not None and file.exists() else {}
    merge(kept, document)
    text = dump(kept)
    if file is None:
        click.echo(text, nl=False)
    else:
        file.write_text(text)


@policies.command()
@click.argument("file", type=_FILE)
@pass_context
def plan(context: Context, file: Path) -> None:
    """Show what FILE would change. Exits with 2 when a saved incident would go worse."""
    found = context.client.write("POST", "/policies/plan", {"document": plain_values(load(file))})
    context.show(found, render_plan)
    if found["is_worse"]:
        raise click.exceptions.Exit(WORSE)


@policies.command()
@click.argument("file", type=_FILE)
@click.option("--reason", default="", help="Why; it is kept with each version.")
@click.option("--accept-worse", is_flag=True, help="Apply although a saved incident goes worse.")
@pass_context
def apply(context: Context, file: Path, reason: str, accept_worse: bool) -> None:
    """Put FILE in force, in one transaction."""
    document = plain_values(load(file))
    found = context.client.write("POST", "/policies/plan", {"document": document})
    if found["is_worse"] and not accept_worse:
        context.show(found, render_plan)
        raise click.exceptions.Exit(WORSE)
    body = {"document": document, "reason": reason, "base": found["base"]}
    context.client.write("POST", "/policies/apply", body)
    context.show(found, render_plan)


@policies.command()
@pass_context
def lint(context: Context) -> None:
    """Show the findings of the linter. Exits with 1 when there are any."""
    found = context.client.get("/policies/lint")
    context.show(found, render_findings)
    if found:
        raise click.exceptions.Exit(FOUND)


def load(file: Path) -> Any:
    """The content of a YAML file, its comments included.

    Raises:
        CliError: it cannot be read, is too large, has aliases, or is no mapping.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}", exit_codes.USAGE) from None
    if len(text) > _MAX_BYTES:
        raise CliError(f"{file} has more than {_MAX_BYTES} characters", exit_codes.INVALID)
    yaml = _yaml()
    try:
        # A few aliases of aliases stand for more than fits into memory.
        if any(type(token).__name__ == "AliasToken" for token in yaml.scan(text)):
            raise CliError(f"{file} has aliases, which are not taken", exit_codes.INVALID)
        content = _yaml().load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise CliError(f"{file} is not YAML: {error}", exit_codes.INVALID) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CliError(f"{file} must be a mapping of fleet and services", exit_codes.INVALID)
    return content


def dump(content: Any) -> str:
    """A document as YAML."""
    stream = io.StringIO()
    _yaml().dump(content, stream)
    return stream.getvalue()


def merge(kept: Any, document: Mapping[str, Any]) -> None:
    """Make `kept` equal to `document`, with its own order and comments where they agree."""
    for key in [each for each in kept if each not in document]:
        del kept[key]
    for key, value in document.items():
        if isinstance(value, Mapping) and isinstance(kept.get(key), dict):
            merge(kept[key], value)
        elif kept.get(key) != value:
            kept[key] = dict(value) if isinstance(value, Mapping) else value


def plain_values(content: Any) -> Any:
    """A document as JSON can carry it."""
    if isinstance(content, Mapping):
        return {str(key): plain_values(value) for key, value in content.items()}
    if isinstance(content, list):
        return [plain_values(each) for each in content]
    return content if content is None or isinstance(content, bool) else str(content)


def render_plan(console: Console, found: dict[str, Any]) -> None:
    """The changes and the incidents, a line each."""
    if not found["changes"]:
        console.print("no changes")
    for each in found["changes"]:
        where = "/".join(filter(None, (each["service"], each["breaker"]))) or "fleet"
        line = f"{where}: {each['field']} {each['before']} → {each['after']}"
        console.print(line, markup=False, soft_wrap=True)
    for each in found["incidents"]:
        verdict = "worse" if each["is_worse"] else "not worse"
        console.print(f"{verdict}: {each['sentence']}", markup=False, soft_wrap=True)


def render_findings(console: Console, found: list[dict[str, Any]]) -> None:
    """The findings, a line each."""
    if not found:
        console.print("no findings")
    for each in found:
        where = f"{each['service']}/{each['breaker']}"
        line = f"{where}: {each['code']} {each['field']}: {each['message']}"
        console.print(line, markup=False, soft_wrap=True)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.default_flow_style = False
    yaml.width = 4096
    return yaml
