"""The field `training: {noise: …}`: errors that are added to simulated data while it is learned."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, PositiveFloat

from abi_cli.spec.fields import VariableName
from abi_cli.spec.problems import Code
from abi_cli.spec.section import Section
from abi_cli.spec.shorthand import OneOf, describe, refusal

SHARE, DATASETS = 0.1, 0.5
"""Share of the numbers of a data set that has errors, and of the data sets that have some."""


class NoiseSection(Section):
    """The errors of one observable."""

    scale: PositiveFloat = Field(
        description="Half of the errors are larger than this, in sds of the observable over the "
        "pilot simulations."
    )
    share: float = Field(
        default=SHARE,
        gt=0,
        le=1,
        description="Share of its numbers that have an error, in data sets that have some.",
    )
    datasets: float = Field(
        default=DATASETS, gt=0, le=1, description="Share of the data sets that have some."
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _errors_of_one(value: Any) -> Any:
    """The form that the errors of one observable are written in."""
    if _is_number(value):
        return PositiveFloat
    if isinstance(value, dict):
        return NoiseSection
    raise refusal(
        Code.VALUE,
        f"Expected a scale in sds, or a mapping with one; got {describe(value)}",
        hint="For example 0.5, or {scale: 0.5, share: 0.2}",
    )


ErrorsOfOne = Annotated[PositiveFloat | NoiseSection, OneOf(_errors_of_one)]
"""The scale of an observable's errors, or all that is to say of them."""

ErrorsOfSome = dict[VariableName, ErrorsOfOne]


def _errors(value: Any) -> Any:
    """The form that errors are written in."""
    if _is_number(value):
        return PositiveFloat
    if isinstance(value, dict) and value:
        return ErrorsOfSome
    raise refusal(
        Code.VALUE,
        f"Expected a scale in sds, or one for each observable; got {describe(value)}",
        hint="For example 0.5, {y: 0.5} or {y: {scale: 0.5, share: 0.2}}",
    )


Errors = Annotated[PositiveFloat | ErrorsOfSome, OneOf(_errors)]
"""Errors of all continuous observables, or of those that are named."""
