"""Documents as YAML files: what `switchgear policies` and `switchgear alerts` share."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
from ruamel.yaml import YAML, tokens
from ruamel.yaml.error import YAMLError

from breakers.cli import exit_codes
from breakers.cli.application import Context
from breakers.cli.client import CliError

FILE: Final = click.Path(dir_okay=False, path_type=Path)
_MAX_BYTES: Final = 1_000_000
# A document has five levels.
_MAX_DEPTH: Final = 20
_OPENING: Final = (
    tokens.BlockMappingStartToken, tokens.BlockSequenceStartToken,
    tokens.FlowMappingStartToken, tokens.FlowSequenceStartToken,
)  # fmt: skip
_CLOSING: Final = (tokens.BlockEndToken, tokens.FlowMappingEndToken, tokens.FlowSequenceEndToken)


def export_document(context: Context, path: str, file: Path | None) -> None:
    """Write the document at `path` of the API to a file, whose comments and order are kept, or to
    standard output."""
    document = context.client.get(path)
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


def load(file: Path) -> Any:
    """The content of a YAML file, its comments included.

    Raises:
        CliError: it cannot be read, is too large, has aliases, is nested too deep, or is no
            mapping.
    """
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}", exit_codes.USAGE) from None
    if len(text) > _MAX_BYTES:
        raise CliError(f"{file} has more than {_MAX_BYTES} characters", exit_codes.INVALID)
    try:
        _check_tokens(file, text)
        content = _yaml().load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise CliError(f"{file} is not YAML: {error}", exit_codes.INVALID) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise CliError(f"{file} must be a mapping of fleet and services", exit_codes.INVALID)
    return content


def _check_tokens(file: Path, text: str) -> None:
    """Refuse what takes more memory or time than its size: a few aliases of aliases stand for more
    than fits into memory, and each level of nesting costs a scan of all that are open."""
    depth = 0
    for token in _yaml().scan(text):
        if isinstance(token, tokens.AliasToken):
            raise CliError(f"{file} has aliases, which are not taken", exit_codes.INVALID)
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if depth > _MAX_DEPTH:
            wrong = f"{file} is nested more than {_MAX_DEPTH} levels deep"
            raise CliError(wrong, exit_codes.INVALID)


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


def json_values(content: Any, scalar: Callable[[Any], Any] = str) -> Any:
    """A document as JSON can carry it; `scalar` converts what is neither empty nor a boolean."""
    if isinstance(content, Mapping):
        return {str(key): json_values(value, scalar) for key, value in content.items()}
    if isinstance(content, list):
        return [json_values(each, scalar) for each in content]
    return content if content is None or isinstance(content, bool) else scalar(content)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.default_flow_style = False
    yaml.width = 4096
    return yaml
