"""The sections of a spec, their fields and their defaults.

The fields' types are the rules, their descriptions the help. Named parts are looked up in the
registry when a spec is read; nothing here knows which there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal, Protocol, Self, runtime_checkable

from pydantic import Field, PositiveFloat, model_validator

from abi_cli import registry
from abi_cli.registry import Part
from abi_cli.spec.declarations import Declaration
from abi_cli.spec.fields import (
    Count,
    Duration,
    FunctionReference,
    Labels,
    ModuleReference,
    RunName,
    VariableName,
)
from abi_cli.spec.model_section import ModelSection
from abi_cli.spec.noise_section import Errors
from abi_cli.spec.problems import Code, suggestion
from abi_cli.spec.section import Section
from abi_cli.spec.shorthand import PartOf, refusal

Share = Annotated[float, Field(ge=0, lt=1)]


def _by_default(kind: str, name: str) -> Callable[[], Part]:
    """A part with its default options, looked up when it is needed."""
    return lambda: registry.get(kind, name)()


class ParameterSection(Section):
    """One parameter of the model."""

    labels: Labels = Field(
        default=(),
        description="What figures and tables call its elements; empty for their own names.",
    )


class ContextSection(Section):
    """One context variable."""

    length_of: Labels = Field(
        default=(),
        description="Observables whose number of members it is: it is then counted, not read.",
    )


class ObservableSection(Section):
    """One observable of the model."""

    kind: Literal["set", "series", "fixed"] = Field(
        description="What its leading axis is: the members of a set, in no order; the steps of a "
        "series, in order; or part of a fixed shape."
    )
    time: str | None = Field(
        default=None,
        min_length=1,
        description="Of a series: what files call the times that its steps are put in order by; "
        "without, they are in the order of the file.",
    )

    @model_validator(mode="after")
    def _is_a_series(self) -> Self:
        if self.time is not None and self.kind != "series":
            raise ValueError(f"expected a time of a series; got one of a {self.kind}")
        return self


class DataSection(Section):
    """Names that files use instead of the model's: real data, designs, stored simulations."""

    dataset: str = Field(
        default="dataset", min_length=1, description="Column that names the data sets."
    )
    columns: dict[VariableName, Labels] = Field(
        default_factory=dict,
        description="Variable: the column that holds it; for a vector, a list of columns.",
    )
    categories: dict[VariableName, Annotated[Labels, Field(min_length=2)]] = Field(
        default_factory=dict,
        description="Variable: the words that stand for 0, 1, … in its column.",
    )
    missing: tuple[str | int | float, ...] = Field(
        default=(),
        description="What else stands for a missing value, beside empty cells, NA, NaN, null, none "
        "and a point. Numbers are compared as numbers: -999 is -999.0, too.",
    )
    prepare: dict[VariableName, Literal["centre_within", "standardize_within"]] = Field(
        default_factory=dict,
        description="Variable: what is done with its values in files within each data set first.",
    )

    @model_validator(mode="after")
    def _names_mean_one_thing(self) -> Self:
        taken = {self.dataset: "dataset"}
        for variable, columns in self.columns.items():
            for column in columns:
                if column in taken:
                    raise refusal(
                        Code.VALUE,
                        f"Expected columns that mean one thing; got {column!r} for "
                        f"{taken[column]} and for {variable}",
                        at=("columns", variable),
                    )
                taken[column] = variable
        for variable, words in self.categories.items():
            if len(set(words)) < len(words):
                raise refusal(
                    Code.VALUE,
                    f"Expected different words for the categories of {variable}; "
                    f"got {', '.join(words)}",
                    at=("categories", variable),
                )
        return self


class NetworksSection(Section):
    """The networks that are trained."""

    summary: Annotated[Part, PartOf("summary network")] | None = Field(
        default=None,
        description="Network that learns summaries of the data; none: the data as they are.",
    )
    statistics: Annotated[Part, PartOf("summary network")] | None = Field(
        default=None,
        description="Network that reads statistics of the data which need no weights (moments, "
        "quantiles, regressions, autocovariances, ...), chosen on the pilot; none: none are made. "
        "Left out, it is mlp, unless the summary network is written with moment_features or with "
        "all of its options.",
    )
    inference: Annotated[Part, PartOf("inference network")] = Field(
        default_factory=_by_default("inference network", "coupling_flow"),
        description="Network that learns the posterior, given the summaries.",
    )


class TrainingSection(Section):
    """The training of the networks: its length, batches and optimizer."""

    epochs: Count = Field(
        default=100,
        description="Epochs: what history.csv has a row for. Left out, 200 where a data set holds "
        "at most 100 numbers on average, else 100.",
    )
    num_batches: Count = Field(default=128, description="Batches an epoch, freshly simulated.")
    batch_size: Count = Field(default=64, description="Data sets a batch.")
    optimizer: Annotated[Part, PartOf("optimizer")] = Field(
        default_factory=_by_default("optimizer", "adam"),
        description="What turns gradients into steps.",
    )
    learning_rate: Annotated[Part, PartOf("schedule", number="constant")] = Field(
        default_factory=_by_default("schedule", "warmup_cosine"),
        description="A schedule over the whole training, or a number for a constant rate.",
    )
    validation: int = Field(
        default=0, ge=0, description="Data sets, simulated once, that the loss is validated on."
    )
    callbacks: tuple[Annotated[Part, PartOf("callback")], ...] = Field(
        default=(), description="What else happens after each epoch."
    )
    augment: FunctionReference | None = Field(
        default=None,
        description="Function of a stored data set's variables and rng that gives some of them "
        "anew each time that it is learned from (train --data).",
    )
    noise: Errors | None = Field(
        default=None,
        description="Errors that are added to some of the data while they are learned, so that "
        "wild values move posteriors less: their scale in sds, of all continuous observables or "
        "of each that is named, or {scale, share, datasets}. None: none are.",
    )
    online: float | None = Field(
        default=None,
        ge=0.01,
        le=0.99,
        description="Share of fresh simulations among stored ones; --online is 0.5 (train --data).",
    )
    checkpoint_every: Duration = Field(
        default="5 min",
        description="The state that --resume goes on from is saved this often, at the least.",
    )


class DiagnosticsSection(Section):
    """Tolerances of `abi diagnose`."""

    p: float = Field(
        default=0.03, gt=0, lt=1, description="How seldom exact posteriors may be called inexact."
    )
    sd_ratio: float = Field(
        default=1.1, gt=1, description="Posterior sds may be off by this factor, either way."
    )
    mean_score: PositiveFloat = Field(
        default=0.1, description="Posteriors may be off by this many of their sds, either way."
    )
    joint_warning: PositiveFloat = Field(
        default=0.1, description="Mean score of a joint quantity from where on it is worth a word."
    )
    joint_failure: PositiveFloat = Field(
        default=0.5, description="Mean score of a joint quantity from where on it is a failure."
    )
    loss_warning: PositiveFloat = Field(
        default=0.05, description="Nats lost of a parameter from where on they are worth a word."
    )
    loss_failure: PositiveFloat = Field(
        default=0.2, description="Nats lost of a parameter from where on they are a failure."
    )


class Spec(Section):
    """A spec: everything that a run depends on, as one value."""

    name: RunName = Field(description="What the run is called, and the folder that it is kept in.")
    seed: int = Field(
        default=1, ge=0, lt=2**63, description="Where all randomness of the run starts."
    )
    backend: Literal["tensorflow", "jax", "torch"] | None = Field(
        default=None, description="What computes; none: KERAS_BACKEND, or else TensorFlow."
    )
    use: tuple[ModuleReference, ...] = Field(
        default=(),
        description="Python files (beside the spec) or modules that define parts of your own.",
    )
    model: ModelSection | None = Field(
        default=None,
        description="The generative model; none: simulations come from elsewhere (train --data).",
    )
    parameters: dict[VariableName, ParameterSection] | None = Field(
        default=None, description="The parameters to infer; none: all that the prior draws."
    )
    context: dict[VariableName, ContextSection] = Field(
        default_factory=dict,
        description="What context variables count; found by itself where it holds in the pilot.",
    )
    observables: dict[VariableName, ObservableSection] | None = Field(
        default=None, description="What the axes of observables are, where no adapter step says so."
    )
    missing: dict[VariableName, Share | tuple[Share, Share] | None] = Field(
        default_factory=dict,
        description="Variable whose values may be missing: the mean share that is left out in "
        "training, or a list of the least and the largest, or nothing where the likelihood returns "
        "NaN itself.",
    )
    data: DataSection = Field(
        default_factory=DataSection,
        description="How files call what the model calls otherwise: real data, designs and stored "
        "simulations.",
    )
    adapter: Annotated[tuple[Annotated[Part, PartOf("step")], ...] | None, Field(min_length=1)] = (
        Field(
            default=None,
            description="Steps from the model's variables to the networks' inputs; none: derived "
            "from what the variables are.",
        )
    )
    networks: NetworksSection = Field(default_factory=NetworksSection, description="The networks.")
    training: TrainingSection = Field(default_factory=TrainingSection, description="The training.")
    diagnostics: DiagnosticsSection = Field(
        default_factory=DiagnosticsSection, description="What `abi diagnose` tolerates."
    )

    def times(self) -> dict[str, str]:
        """Series → the name of its times in files."""
        sections = self.observables or {}
        return {name: own.time for name, own in sections.items() if own.time is not None}

    def series(self) -> frozenset[str]:
        """Variables whose members have an order."""
        said = {name for name, axis in (self.observables or {}).items() if axis.kind == "series"}
        steps = [s for s in self.adapter or () if isinstance(s, _RaggedStep) and s.marks_ordered]
        return frozenset(said.union(*(step.keys for step in steps)))

    def ragged(self) -> frozenset[str]:
        """Variables whose leading axis is that of members or steps, so varies between data sets."""
        said = {name for name, axis in (self.observables or {}).items() if axis.kind != "fixed"}
        return frozenset(said.union(*self._made_ragged()))

    def _made_ragged(self) -> list[tuple[str, ...]]:
        return [s.keys for s in self.adapter or () if isinstance(s, _RaggedStep) and s.marks_ragged]

    @model_validator(mode="after")
    def _variables_are_known(self) -> Self:
        if self.model is not None:
            return self
        missing = [name for name in ("parameters", "observables") if not getattr(self, name)]
        if missing:
            name = "model" if len(missing) > 1 else missing[0]
            raise refusal(
                Code.MISSING,
                f"field {name!r} of the spec is missing",
                hint="The generative model. Without one, name parameters and observables, and "
                "learn from simulations of another program: abi train SPEC --data FILE"
                if len(missing) > 1
                else f"Without a model, {name} say what simulations of another program hold (abi "
                "train SPEC --data FILE)",
            )
        observables = self.observables or {}
        for name, section in self.context.items():
            for counted in section.length_of:
                if counted not in observables:
                    raise refusal(
                        Code.NAME,
                        f"Expected observables that {name} is the length of; got {counted}",
                        hint=suggestion(counted, tuple(observables), title="Observables"),
                        at=("context", name, "length_of"),
                    )
        return self

    @model_validator(mode="after")
    def _names_mean_one_thing(self) -> Self:
        observables = self.observables or {}
        for name in self.context:
            for section in ("parameters", "observables"):
                if name in (getattr(self, section) or {}):
                    raise refusal(
                        Code.NAME,
                        f"{name!r} is said to be context and under {section}",
                        hint="Take it out of one of the two",
                        at=("context", name),
                    )
        for name in self.parameters or {}:
            if name in observables:
                raise refusal(
                    Code.NAME,
                    f"{name!r} is said to be a parameter and an observable",
                    hint="Take it out of one of the two",
                    at=("observables", name),
                )
        for keys in self._made_ragged():
            for name in keys:
                if name in observables and observables[name].kind == "fixed":
                    raise refusal(
                        Code.VALUE,
                        f"{name!r} is said to have a fixed shape, but an adapter step makes it "
                        "a set or series",
                        hint="Say which: kind: set or kind: series, or take it out of the step",
                        at=("observables", name, "kind"),
                    )
        return self

    @model_validator(mode="after")
    def _declared_parameters_can_be_inferred(self) -> Self:
        prior = self.model.declared("prior") if self.model else {}
        for name in self.parameters or {}:
            if prior and name not in prior:
                raise refusal(
                    Code.NAME,
                    f"Expected a parameter that the prior declares; got {name!r}",
                    hint=suggestion(name, tuple(prior), title="It declares"),
                    at=("parameters", name),
                )
        for name, part in prior.items():
            inferred = self.parameters is None or name in self.parameters
            if inferred and isinstance(part, Declaration) and part.discrete:
                raise refusal(
                    Code.NAME,
                    f"Expected parameters that vary continuously; got {name!r}, which is "
                    + ("discrete" if part.varies() else "a constant"),
                    hint="Let it be nuisance: list only the others under `parameters:`"
                    if part.varies()
                    else f"Move it to meta: functions take {name} from there, too",
                    at=("model", "prior", name),
                )
        return self


@runtime_checkable
class _RaggedStep(Protocol):
    """A step that says what the leading axis of its keys is."""

    marks_ragged: ClassVar[bool]
    marks_ordered: ClassVar[bool]
    keys: tuple[str, ...]
