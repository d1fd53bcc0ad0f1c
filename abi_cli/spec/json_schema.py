"""The JSON Schema of specs, for editors: completion, help on hover, mistakes underlined."""

from __future__ import annotations

from typing import Any

from abi_cli.spec.schema import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a spec as it is written, abbreviations included.

    It refuses what it can express: unknown fields, parts and options, wrong types, numbers out of
    range. What needs more than one field, such as a name that nothing makes, only reading the spec
    finds.
    """
    schema = Spec.model_json_schema()
    for section in schema.get("$defs", {}).values():
        section.pop("title", None)
    schema["properties"]["vars"] = {
        "type": "object",
        "description": "Values to be used in several places, as ${vars.name}.",
    }
    # Simulations come from the model, or else their variables are named.
    forms = [{"required": ["model"]}, {"required": ["parameters", "observables"]}]
    return {"$schema": DIALECT, **schema, "anyOf": forms, "title": "abi spec"}
