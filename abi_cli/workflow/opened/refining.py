"""Posteriors of a run refined by the density of its model, whose code is executed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from abi_cli.data import Loaded, Statistics
from abi_cli.data.entries import listing
from abi_cli.digits import plural
from abi_cli.errors import CheckFailed, UsageError
from abi_cli.listener import Listener
from abi_cli.model.evaluation import At, known_of
from abi_cli.precision import refuse_not_finite
from abi_cli.run import Run
from abi_cli.spec import Spec
from abi_cli.variables import Datasets, DrawBlock, take
from abi_cli.workflow.checking.agreeing import refuse_disagreement
from abi_cli.workflow.opened.drawing import Drawing
from abi_cli.workflow.opened.opening import model_of
from abi_cli.workflow.opened.reading import Batches
from abi_cli.workflow.opened.refusing import refusing
from abi_cli.workflow.request import Model, tell_files

if TYPE_CHECKING:
    from abi_cli.approximator import Approximator
    from abi_cli.refinement.joint import Joint
    from abi_cli.refinement.leaving import Elpd
    from abi_cli.refinement.proposal import Proposal
    from abi_cli.refinement.results import Certificate, Refined

CERTIFIED = ("khat", "ess", "log_evidence", "log_evidence_error", "rhat")
"""Fields of a certificate that are written beside the draws of each data set."""

MANY_REPEATED = 0.05
"""Share of draws that repeat another from where on it is a warning."""


def may_refine(spec: Spec) -> bool:
    """True if a spec names the densities that refinement takes."""
    model = spec.model
    if model is None or model.log_likelihood is None:
        return False
    return model.log_prior is not None or isinstance(model.prior, Mapping)


@dataclass
class Refiner:
    """A refiner of posteriors, which keeps the certificate of each data set.

    Arguments:
        model: The model whose density is executed.
        jobs: Number of processes that do so, where it takes long.
        certificates: Label of a data set → certificate of its refined posterior.
    """

    run: Run
    model: Model
    jobs: int
    listener: Listener
    certificates: dict[str, Certificate] = field(default_factory=dict)
    _failed: dict[str, None] = field(default_factory=dict)
    _made: dict[int, tuple[Joint, Proposal]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, *, jobs: int, listener: Listener) -> Refiner:
        """The refiner of a run.

        Errors:
            RunError: Its code was changed since.
            UsageError: Its spec names no `log_likelihood`.
        """
        model = model_of(run)
        if model.judged.density is None:
            raise UsageError(
                f"can't refine posteriors of {run.path}: its spec names no log_likelihood",
                hint="Write the density of the likelihood as a function, name it as "
                "model.log_likelihood, and train again.",
            )
        tell_files(model, listener)
        if model.spec.training.noise is not None:
            listener.warn(
                "refined posteriors are those of the model without errors (training.noise): wild "
                "values move them as they did before"
            )
        return cls(run, model, jobs, listener)

    def _with(self, networks: Approximator, seed: int) -> tuple[Joint, Proposal]:
        """The density, and the source of candidates for it.

        Errors:
            UserFunctionError: It is not the density of what the model simulates.
        """
        from abi_cli.refinement.joint import Joint
        from abi_cli.refinement.proposal import proposal_of

        density = self.model.judged.density
        assert density is not None  # noqa: S101  # `of` has refused
        if seed not in self._made:
            joint = Joint.of(density, networks.adapter, self.run.layout)
            if not self._made and self.model.simulator is not None:
                refuse_disagreement(
                    density,
                    networks.adapter,
                    self.run.layout,
                    self.model.simulator,
                    seed=self.run.manifest.seed,
                    listener=self.listener,
                )
            self._made[seed] = joint, proposal_of(networks, seed)
        return self._made[seed]

    def refined(
        self,
        networks: Approximator,
        loaded: Loaded,
        *,
        draws: int,
        seed: int,
        first: int = 0,
        resample: bool = False,
    ) -> Iterator[tuple[Joint, Refined]]:
        """The density of each data set, and its refined posterior as weighted candidates.

        Arguments, Errors:
            As of `draws`; without `resample` no candidates are chosen as draws.
        """
        from abi_cli.refinement.refining import Refining, Sharing
        from abi_cli.refinement.results import Wanted

        joint, proposal = self._with(networks, seed)
        known = [self.known(loaded.datasets, row) for row in range(len(loaded.labels))]
        told = _told_alone(networks, loaded)
        with Sharing(self.jobs) as sharing:
            work = Refining(joint, proposal, Wanted(draws, seed, resample=resample), sharing)
            refined = work.refined(known, told, first, loaded.labels)
            for label, one in zip(loaded.labels, refined, strict=True):
                self.certificates[label] = one.certificate
                if one.certificate.how == "failed":
                    self._failed[label] = None
                yield joint, one

    def known(self, datasets: Datasets, row: int) -> dict[str, Any]:
        """The values that a density takes of a data set, beside parameters."""
        inferred = {v.name for v in self.run.layout.of("parameter", "nuisance")}
        return known_of({n: v for n, v in datasets.items() if n not in inferred}, row)

    def by_member(self, joint: Joint, loaded: Loaded, row: int, one: Refined) -> Elpd | None:
        """The log densities of members given the others; None where a density gives a total.

        Arguments:
            one: Its refined posterior.

        Errors:
            UserFunctionError: The density raised, or is none.
        """
        from abi_cli.refinement.leaving import CANDIDATES, elpd

        theta, weights = one.theta[:CANDIDATES], one.weights[:CANDIDATES]
        known, at = self.known(loaded.datasets, row), At(row, label=loaded.labels[row])
        values = joint.density.each(known, joint.parameters(theta), at)
        if values.ndim < 2 or values.shape[1:] == (1,):
            return None
        return elpd(values.reshape(len(values), -1), weights / weights.sum())

    def log_density(
        self, networks: Approximator, one: Datasets, theta: np.ndarray, seed: int
    ) -> np.ndarray:
        """Log q of draws `theta (draw, dim)` on the scale of networks that have a density.

        Arguments:
            one: A single data set.
        """
        proposal = self._with(networks, seed)[1]
        density = getattr(proposal, "log_density", None)
        if density is None:
            raise ValueError("Expected networks with a density; got others")
        return np.asarray(density(networks.told_of(one)[0], theta))

    def draws(
        self, networks: Approximator, loaded: Loaded, *, draws: int, seed: int, first: int = 0
    ) -> Iterator[DrawBlock]:
        """Draws from refined posteriors, data set after data set.

        Arguments:
            draws: How many per data set.
            first: The place of the first data set among all that posteriors are asked of.

        Errors:
            UserFunctionError: A density raised, or is none.
            SpecError: The densities don't fit what the run has learned.
            Unanswerable: A posterior is not finite.
        """
        made = self.refined(networks, loaded, draws=draws, seed=seed, first=first, resample=True)
        for place, (joint, one) in enumerate(made):
            parameters = joint.parameters(one.theta[one.draws])
            values = self.run.layout.parameters_of(parameters, (1, draws))
            refuse_not_finite(*values.values(), first=place)
            certificates = {name: np.array([getattr(one.certificate, name)]) for name in CERTIFIED}
            yield DrawBlock(first + place, 0, values, certificates=certificates)

    def estimates(
        self,
        networks: Approximator,
        loaded: Loaded,
        names: Sequence[str],
        *,
        draws: int,
        seed: int,
        first: int = 0,
    ) -> Iterator[Statistics]:
        """Statistics of refined posteriors, by all weighted candidates.

        Arguments, Errors:
            As of `draws`, which is how many effective ones there are at the least, if possible.
        """
        from abi_cli.refinement.weights import weighted

        made = self.refined(networks, loaded, draws=draws, seed=seed, first=first, resample=False)
        for place, (joint, one) in enumerate(made):
            parameters = joint.parameters(one.theta)
            found = {}
            for variable in self.run.layout.of("parameter"):
                values = np.asarray(parameters[variable.name], np.float64)
                refuse_not_finite(values[None], first=place)
                flat = values.reshape(len(values), -1)
                each = weighted(flat, one.weights, names, ess=one.certificate.ess)
                found[variable.name] = each.reshape(1, len(names), *variable.event)
            yield Statistics((loaded.labels[place],), tuple(names), found)

    def all_estimates(
        self, networks: Approximator, data: Batches, drawing: Drawing, names: Sequence[str]
    ) -> Iterator[Statistics]:
        """Estimates of all data sets as they come; after the last there is a report."""
        begun = 0
        with self.listener.task("refining", None, "data sets") as progress:
            for loaded in data.parts:
                with refusing(loaded, self.run.layout):
                    for part in self.estimates(
                        networks,
                        loaded,
                        names,
                        draws=drawing.draws,
                        seed=drawing.seed,
                        first=begun,
                    ):
                        yield part
                        progress.advance()
                begun += len(loaded.labels)
        self.tell()

    def telling(self, blocks: Iterator[DrawBlock]) -> Iterator[DrawBlock]:
        """Draws as they come; after the last there is a report."""
        yield from blocks
        self.tell()

    def documented(self) -> list[dict[str, Any]]:
        """Certificates of all refined data sets, for JSON."""
        return [
            {
                "dataset": label,
                "by": one.how.value,
                **{name: getattr(one, name) for name in CERTIFIED},
            }
            for label, one in self.certificates.items()
        ]

    def failed(self) -> list[str]:
        """Labels of the data sets that could not be refined so far."""
        return [*self._failed]

    def forget(self, *, failed: bool = True) -> None:
        """Forget the certificates so far; with `failed` the labels of failed data sets, too."""
        self.certificates.clear()
        if failed:
            self._failed.clear()

    def tell(self) -> None:
        """Report on the refinement, after the last data set."""
        each = self.certificates.items()
        if not each:
            return
        chained = [label for label, one in each if one.how == "chains"]
        failed = self.failed()
        good = len(each) - len(failed)
        ess = [one.ess for _, one in each if one.how != "failed"]
        parts = [f"refined {good:,} of {len(each):,} posteriors"]
        if chained:
            parts.append(f"{len(chained):,} of them by Markov chains")
        if ess:
            parts.append(f"effective draws from {min(ess):,.0f}, median {np.median(ess):,.0f}")
        errors = [one.log_evidence_error for _, one in each]
        known = [error for error in errors if math.isfinite(error)]
        if known:
            parts.append(f"log evidence to ±{max(known):.2g} or better")
        self.listener.note("; ".join(parts) + ". A mode that the networks miss is not found")
        if unknown := {label: one for label, one in each if one.unknown}:
            label, worst = max(unknown.items(), key=lambda item: item[1].unknown)
            name = self.model.judged.density.likelihood.name if self.model.judged.density else ""
            self.listener.warn(
                f"{name} is not a number (NaN) for up to {100 * worst.unknown:.2g} % of the "
                f"candidates of {_data_sets(list(unknown))}, such as {worst.example} of {label}: "
                "they count as impossible",
                hint="Where numbers overflow far from the data that does no harm. Else write the "
                "density so that it stays finite.",
            )
        of_good = {label: one.repeated for label, one in each if one.how != "failed"}
        if many := [label for label, share in of_good.items() if share > MANY_REPEATED]:
            most = 100 * max(of_good.values())
            self.listener.warn(
                f"up to {most:.0f} % of the draws of {_data_sets(many)} repeat another: too few of "
                "the candidates have weight"
            )
        elif share := max(of_good.values(), default=0.0):
            self.listener.note(
                f"up to {100 * share:.2g} % of the draws of a data set repeat another"
            )
        if failed:
            self.listener.warn(
                f"{_data_sets(failed)} could not be refined: weights have too heavy a tail "
                "(k-hat), and Markov chains disagree or found no place to start",
                hint="Don't rely on these posteriors: are the data like the simulations? If so, "
                "train longer.",
            )

    def gate(self) -> None:
        """Refuse to end well where data sets could not be refined.

        Errors:
            CheckFailed: There are some.
        """
        if failed := self.failed():
            raise CheckFailed(f"{_data_sets(failed)} could not be refined")


def _told_alone(networks: Approximator, loaded: Loaded) -> np.ndarray:
    """Conditions, mean and log sd of each data set, `(dataset, told)`, to the last bit as if alone.

    A compiled function rounds otherwise for other numbers of rows, and so small a difference
    changes which candidates become draws.

    Errors:
        AdapterError, Unanswerable: A data set can't be taken.
    """
    networks.told_of(loaded.datasets)  # of all at once, so that what is refused has its place
    rows = np.arange(len(loaded.labels))[:, None]
    return np.concatenate([networks.told_of(take(loaded.datasets, row)) for row in rows])


def _data_sets(labels: Sequence[str]) -> str:
    return f"{plural('data set', len(labels))} {listing(labels)}"
