"""The section `model:` of a spec: what draws the context, the parameters and the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from abi_cli.registry import Part
from abi_cli.spec.declarations import check_references, check_sizes
from abi_cli.spec.fields import (
    Count,
    CountOrShare,
    Declarations,
    Duration,
    FunctionOrDeclarations,
    FunctionReference,
    VariableName,
    function_or_declarations,
)
from abi_cli.spec.problems import Code, suggestion
from abi_cli.spec.section import Section
from abi_cli.spec.shorthand import OneOf, refusal


@contextmanager
def _below(field: str) -> Iterator[None]:
    """A context that puts the refusals inside it below a field."""
    try:
        yield
    except PydanticCustomError as error:
        said = error.context or {}
        at = (field, *said["at"])
        raise refusal(said["code"], said["message"], hint=said["hint"], at=at) from None


class DesignSection(Section):
    """A file with what data sets come with, such as covariates or times of measurement."""

    file: str = Field(
        min_length=1,
        description="The file, beside the spec: each of its columns (keys, arrays) is a variable.",
    )
    resample: bool = Field(
        default=True,
        description="Whether each simulation takes one of the file's data sets at random or, where "
        "the file is one set, as many of its rows; otherwise all take the file as it is.",
    )
    size: Count | VariableName | None = Field(
        default=None,
        description="How many rows are taken where the file is one set: a number, or a variable "
        "that meta draws; none: as many as it has.",
    )

    @model_validator(mode="after")
    def _only_what_is_resampled_has_a_size(self) -> Self:
        if self.size is not None and not self.resample:
            raise refusal(
                Code.VALUE,
                "Expected no size with resample: false, which takes the file as it is",
                hint="Take one of the two out",
                at=("size",),
            )
        return self


def _given_form(value: Any) -> Any:
    """A mapping with a file that is no function is a design."""
    file = value.get("file") if isinstance(value, dict) else None
    if isinstance(file, str) and ":" not in file:
        return DesignSection
    if isinstance(value, str) and value.endswith((".csv", ".tsv", ".jsonl", ".npz")):
        raise refusal(
            Code.VALUE,
            f"Expected a function, distributions or a mapping with a file; got {value!r}",
            hint=f"Write {{file: {value}}}",
        )
    return function_or_declarations(value)


class ModelSection(Section):
    """The generative model: functions that draw the context, the parameters and the data."""

    meta: FunctionOrDeclarations | None = Field(
        default=None,
        description="Function that draws the context, such as the number of observations; or a "
        "distribution for each variable of it.",
    )
    given: (
        Annotated[DesignSection | FunctionReference | Declarations, OneOf(_given_form)] | None
    ) = Field(
        default=None,
        description="Draws what a data set comes with but the model does not generate, such as "
        "covariates or times; a distribution or function for each; or {file: design.csv}.",
    )
    prior: FunctionOrDeclarations = Field(
        description="Function that draws the parameters; or a distribution or function for each."
    )
    likelihood: FunctionReference = Field(
        description="Function that draws the data, given parameters and context."
    )
    log_likelihood: FunctionReference | None = Field(
        default=None,
        description="Log density of one data set given parameters and context: the total, or a "
        "value for each member. check tries it, diagnose judges the posteriors by it, too.",
    )
    log_prior: FunctionReference | None = Field(
        default=None,
        description="Log density of the parameters, where a function draws the prior; it is known "
        "where distributions are declared.",
    )
    quantities: dict[VariableName, FunctionReference] = Field(
        default_factory=dict,
        description="Function of parameters, data and context for each quantity of interest: "
        "computed for every draw by sample --quantities, and on the truths in diagnose.",
    )
    chunk: Count = Field(
        default=32,
        description="Rows that are simulated together where a function takes batch_size.",
    )
    max_failures: CountOrShare = Field(
        default=0,
        description="Simulations that may fail (raise, take too long, or give what is not finite) "
        "and are then drawn again, which changes the prior; one more stops the work. A number, or "
        "a share such as 1 %.",
    )
    timeout: Duration | None = Field(
        default=None,
        description="Length of time, such as 30 s or 5 min, that one simulation may take (a chunk "
        "where a function takes batch_size); one that takes longer fails. None: any time.",
    )
    noise_free: tuple[VariableName, ...] = Field(
        default=(),
        description="Data that parameters and context determine, as is meant. Of others that do "
        "not change when they are drawn again, check, simulate and train warn: a function may make "
        "a generator of its own, with the same noise every time.",
    )

    def declared(self, section: Literal["meta", "given", "prior"]) -> dict[str, Part | str]:
        """Variable → its distribution or function; none where one function draws them all."""
        source = getattr(self, section)
        return source if isinstance(source, dict) else {}

    @model_validator(mode="after")
    def _densities_are_said_once(self) -> Self:
        if self.log_prior is not None and self.log_likelihood is None:
            raise refusal(
                Code.VALUE,
                "Expected log_likelihood beside log_prior: posteriors are judged by their sum",
                hint="Add it, or leave log_prior out",
                at=("log_prior",),
            )
        declared = self.declared("prior").values()
        if (
            self.log_prior is not None
            and declared
            and not any(isinstance(s, str) for s in declared)
        ):
            raise refusal(
                Code.VALUE,
                "Expected log_prior where a function draws the prior; this one is declared, so its "
                "density is known",
                hint="Leave log_prior out",
                at=("log_prior",),
            )
        return self

    @model_validator(mode="after")
    def _declarations_can_be_drawn(self) -> Self:
        earlier: dict[str, Part | str] = {}
        known: tuple[str, ...] | None = ()
        for section in ("meta", "given", "prior"):
            declared = self.declared(section)
            with _below(section):
                if section == "given":
                    self._check_design_size(known)
                for name in declared:
                    if name in earlier:
                        message = f"{name!r} is declared twice, the second time under {section}"
                        hint = "Take it out of one of the two"
                        raise refusal(Code.NAME, message, hint=hint, at=(name,))
                check_references(declared, context=known)
                if section == "prior":
                    check_sizes(declared, others=earlier)
            earlier |= declared
            # What a function draws is only known once it is called.
            unknown = isinstance(getattr(self, section), str | DesignSection)
            known = None if known is None or unknown else tuple(earlier)
        return self

    def _check_design_size(self, context: tuple[str, ...] | None) -> None:
        """Refuse a design's size that nothing draws, as far as that is known."""
        size = self.given.size if isinstance(self.given, DesignSection) else None
        if isinstance(size, str) and context is not None and size not in context:
            raise refusal(
                Code.VALUE,
                f"Expected a number or the name of a variable; got {size!r}, which meta does not "
                "draw",
                hint=suggestion(size, context, title="It draws") if context else None,
                at=("size",),
            )
