"""The base of all sections of a spec."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of named fields: no others are allowed, and nothing changes once it is read."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def option_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields of a model or options of a part, as they are spelled in a spec."""
    return tuple(field.alias or name for name, field in model.model_fields.items())
