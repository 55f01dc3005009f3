"""The wire as JSON Schema, generated from its structs: for agents in other languages.

A struct says nothing of two things that readers of the protocol hold to, so they are added here:
which versions there are, and that a bucket's number is a string of digits in JSON.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final

import msgspec

from breakers.protocol import messages as wire

FROM_AGENT: Final = (wire.Report, wire.Ack, wire.Recording)
FROM_SERVER: Final = (wire.Desired, wire.Received, wire.Refused)
MESSAGES: Final = (*FROM_AGENT, *FROM_SERVER)
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def definitions(root: str = "#/$defs/") -> dict[str, Any]:
    """The schema of each struct of the wire by its name; they refer to each other below `root`."""
    _, found = msgspec.json.schema_components(MESSAGES, ref_template=root + "{name}")
    for schema in found.values():
        schema["description"] = cleandoc(schema.get("description", ""))
        if "v" in schema["properties"]:
            schema["properties"]["v"]["enum"] = list(wire.VERSIONS)
    found["Histogram"]["properties"]["buckets"]["propertyNames"] = {
        "pattern": "^-?(0|[1-9][0-9]*)$"
    }
    found["FromAgent"] = _any_of(FROM_AGENT, root, "What an agent says.")
    found["FromServer"] = _any_of(FROM_SERVER, root, "What the dashboard answers.")
    return found


def _any_of(kinds: tuple[type[msgspec.Struct], ...], root: str, description: str) -> dict[str, Any]:
    return {"description": description, "anyOf": [{"$ref": root + kind.__name__} for kind in kinds]}


def json_schema() -> dict[str, Any]:
    """One schema that every message of the protocol fits, of either side."""
    return {
        "$schema": DIALECT,
        "title": f"The wire between agents and Switchgear, version {wire.VERSION}",
        "anyOf": [{"$ref": "#/$defs/FromAgent"}, {"$ref": "#/$defs/FromServer"}],
        "$defs": definitions(),
    }
