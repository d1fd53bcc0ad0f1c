"""Requests that commands have in common: where to compute, where to write, which model is meant."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from abi_cli import placing, run
from abi_cli.adapter import Adapter
from abi_cli.adapter.adapter import SUMMARY_VARIABLES, sources
from abi_cli.errors import AbiError, SpecError, UsageError
from abi_cli.listener import Listener
from abi_cli.model.density import LogDensity
from abi_cli.model.executors import pool
from abi_cli.model.functions import UnusableFunction, UserFunction, loaded_files
from abi_cli.model.modules import load_parts
from abi_cli.model.quantities import Quantities
from abi_cli.model.simulator import Simulator
from abi_cli.model.workers import Pool, Workers
from abi_cli.registry import Part
from abi_cli.run import room
from abi_cli.spec import (
    Code,
    DesignSection,
    Document,
    InvalidSpecError,
    Problem,
    Spec,
    parse_document,
    read_source,
)
from abi_cli.variables import Datasets, Layout, Ragged
from abi_cli.workflow.checking.prior import Prior, drawn_prior, stored_prior
from abi_cli.workflow.naming import read_design, stored_layout

STDIN = Path("-")
_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
"""Other names of standard output; the descriptor that they name is no longer that of the data."""


@dataclass(frozen=True)
class Compute:
    """The place to compute, and how many processes to use.

    Arguments:
        backend: tensorflow, jax or torch; None for KERAS_BACKEND, the spec's, TensorFlow.
        device: cpu, gpu, gpu:1 …; None for what the backend prefers.
        jobs: Processes that simulate; 0 for none beside this one, None for one per usable core.
        executor: Who simulates, as `model.executors` has it.
        defaults: Which of these are mere defaults, such as the environment's: what a run was begun
            with goes before them.
    """

    backend: str | None = None
    device: str | None = None
    jobs: int | None = None
    defaults: frozenset[str] = frozenset()
    executor: str = "local"

    def pool(self, *, needed: bool = True) -> Pool:
        """The pool that simulates; this process alone where others are not needed.

        Errors:
            UsageError: There is no such executor.
        """
        return pool(self.executor, self.workers()) if needed else Workers(0)

    @property
    def is_remote(self) -> bool:
        """True if anything but processes of this machine simulates."""
        return self.executor != "local"

    def workers(self) -> int:
        """The number of processes that simulate."""
        return usable_cores() if self.jobs is None else self.jobs


def usable_cores() -> int:
    """The number of cores that this process may use: on a shared machine fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Target:
    """The place that a result goes to.

    Arguments:
        path: A file or folder; None, or `-`, for standard output, or for the command's usual place.
        force: Move what is there to NAME.bak instead of refusing.
        format: Name of the file format; None to go by the extension.
    """

    path: Path | None = None
    force: bool = False
    format: str | None = None

    def __post_init__(self) -> None:
        if self.path == STDIN or str(self.path) in _STDOUT:
            object.__setattr__(self, "path", None)

    def claim(self) -> None:
        """Refuse a place that is taken or can't be; with `force`, back up what is there.

        Errors:
            OutputError: Something is there and `force` is off, or there is no such folder.
        """
        if self.path is None:
            return
        room.refuse_taken(self.path, force=self.force)
        room.refuse_nowhere(self.path)
        placing.refuse_locked(self.path)
        with placing.writing(self.path):
            placing.back_up(self.path)


USUAL_COMPUTE = Compute()
USUAL_PLACE = Target()


@dataclass(frozen=True)
class Model:
    """A spec and the simulator that it names.

    Arguments:
        judged: The quantities of interest, with the model's density where it is said: what
            posteriors are judged by beside the parameters.
        simulator: None where the spec has no model: then it learns from stored simulations.
        base: The folder that its functions are relative to, absolute.
        document: The spec as it was written.
        augment: Changes stored data sets each time that they are learned from, if anything does.
    """

    spec: Spec
    simulator: Simulator | None
    judged: Quantities
    base: Path
    document: Document
    augment: UserFunction | None = None

    @property
    def quantities(self) -> Quantities:
        """The quantities of interest."""
        return replace(self.judged, density=None)

    def need_simulator(self) -> Simulator:
        """The simulator.

        Errors:
            SpecError: The spec has no model.
        """
        if self.simulator is None:
            raise SpecError(
                f"{self.document.source.name} has no model to simulate from",
                hint="Give it stored simulations with --data FILE, or add `model:` to the spec.",
            )
        return self.simulator

    def layout(self, rows: Datasets) -> Layout:
        """The variables of the model, judged by simulations.

        Errors:
            SpecError: A parameter is not there, or is discrete.
        """
        return self.simulator.layout(rows) if self.simulator else stored_layout(self.spec, rows)

    def prior(self, layout: Layout, *, seed: int, stored: Datasets | None = None) -> Prior:
        """Draws of its parameters, where a function or `stored` simulations draw them."""
        if stored is not None:
            declared = self.simulator.supports if self.simulator else {}
            return stored_prior(stored, layout, declared=declared)
        return drawn_prior(self.need_simulator(), layout, seed=seed)

    def design(self) -> Path | None:
        """The file of the design, if there is one."""
        given = self.spec.model and self.spec.model.given
        return (self.base / given.file).resolve() if isinstance(given, DesignSection) else None

    def files(self) -> tuple[Path, ...]:
        """The modules that its functions live in and, from the spec's folder, what they import."""
        own = self.simulator.functions if self.simulator else ()
        functions = (*own, *self.judged.called(), *([self.augment] if self.augment else []))
        modules = [(f.base_dir, f.reference.rpartition(":")[0]) for f in functions]
        modules += [(self.base, module) for module in self.spec.use]
        named = {(base / module).resolve() for base, module in modules if module.endswith(".py")}
        for base in {self.base, *(base for base, _ in modules)}:
            named |= set(loaded_files(base, [name for where, name in modules if where == base]))
        return tuple(sorted(named))

    def file_names(self) -> tuple[str, ...]:
        """The modules as people see them: relative to the working folder, if they are below it."""
        here = Path.cwd().resolve()
        return tuple(
            str(file.relative_to(here) if file.is_relative_to(here) else file)
            for file in self.files()
        )


def read_model(source: Path, *, overrides: Sequence[str] = ()) -> Model:
    """Read a spec and load its functions.

    Arguments:
        source: A spec file, a run folder, or `-` for standard input.

    Errors:
        SpecError: There is no such file, or it can't be used.
    """
    need_piped(source)
    file = run.look(source).spec_file() if source.is_dir() else source
    written = read_source(file)
    base = file.parent.resolve()
    spec, document = parse_document(
        written.text, source=written.name, overrides=overrides, load=partial(load_parts, base)
    )
    augment = None
    if spec.training.augment is not None:
        with _pointing_at_functions(document):
            augment = UserFunction.load(spec.training.augment, base)
    if spec.model is None:
        return Model(spec, None, Quantities(), base, document, augment)
    with _pointing_at_functions(document):
        simulator = Simulator.from_spec(spec, base, design=read_design(spec, base))
        judged = Quantities.load(spec.model.quantities, base)
        judged = replace(judged, density=LogDensity.load(spec.model, base, simulator))
    return Model(spec, simulator, judged, base, document, augment)


@contextmanager
def _pointing_at_functions(document: Document) -> Iterator[None]:
    """A context in which an unusable function is refused at its place in the spec."""
    try:
        yield
    except UnusableFunction as error:
        path = document.root.find(error.reference)
        if path is None:
            raise
        place = document.value_position(path)
        problem = Problem(path, error.message, error.hint, Code.MODEL, place)
        raise InvalidSpecError([problem], name=document.source.name) from None


def completed(model: Model, rows: Datasets, prior: Prior, *, stored: int | None = None) -> Model:
    """The model with a spec that leaves nothing to be derived.

    Arguments:
        rows: Data sets that it simulated: they show what its variables are.
        prior: Where its parameters can be.
        stored: Number of stored simulations, if it is to learn from some: batches are as large as
            these fill, and training stops in time, if the spec does not say what happens after
            epochs. What is learned from again and again is learned by heart in the end.

    Errors:
        SpecError: What is left out of the spec does not follow from the variables.
    """
    from abi_cli.adapter.derive import derived_steps
    from abi_cli.networks.derive import derived_networks
    from abi_cli.training.derive import derived_training, fitting_few, stopping_in_time

    spec = model.spec
    layout, steps, series = model.layout(rows), spec.adapter, spec.series()
    if steps is None:
        steps = derived_steps(layout, series=series, supports=prior.supports())
        reaching = series
    elif "summary" in spec.networks.model_fields_set:
        reaching = None
    else:
        reaching = _series_summarized(steps, rows, layout, series)
    networks = derived_networks(
        spec.networks, layout, series=reaching or (), adapted=reaching is None
    )
    told = [variable.name for variable in layout.of("given", "observable")]
    training = derived_training(spec.training, rows, told)
    if stored is not None:
        training = stopping_in_time(fitting_few(training, stored))
    derived = {"adapter": steps, "networks": networks, "training": training}
    return replace(model, spec=spec.model_copy(update=derived))


def _series_summarized(
    steps: Sequence[Part], rows: Datasets, layout: Layout, series: frozenset[str]
) -> frozenset[str] | None:
    """Series among the variables that a spec's steps bring to the summary network.

    None where that is no set or series, so that it needs none, or where the steps don't fit.
    """
    try:
        adapter = Adapter.fit(steps, rows, missing=layout.missing)
        adapted = adapter.forward(rows)
    except AbiError:  # refused where they are pointed at
        return None
    if not isinstance(adapted.get(SUMMARY_VARIABLES), Ragged):
        return None
    return series & sources(adapter.fitted, SUMMARY_VARIABLES)


def need_piped(source: Path) -> None:
    """Refuse to wait for somebody to type what should come through a pipe.

    Errors:
        UsageError: `source` is standard input, which is a terminal.
    """
    if source == STDIN and sys.stdin.isatty():
        raise UsageError(
            "- is standard input, and nothing is piped into it",
            hint="Name a file, or pipe into the command: cat FILE | abi …",
        )


def tell_files(model: Model, listener: Listener) -> None:
    """Say which of the user's files are executed, if any."""
    if not model.file_names():
        return
    listener.note(f"executes {', '.join(model.file_names())}")
