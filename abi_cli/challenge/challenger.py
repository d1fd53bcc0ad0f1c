"""The challenge of a run: its rivals learn, one is chosen, and judged on other data sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from abi_cli import backend, sampler
from abi_cli.adapter.adapter import INFERENCE_VARIABLES
from abi_cli.adapter.batches import network_inputs
from abi_cli.approximator import Approximator
from abi_cli.backend.loops import by_row
from abi_cli.challenge.heir import Heir
from abi_cli.challenge.learning import Clock, Course, is_finite, learn
from abi_cli.challenge.means import knowing, means_of
from abi_cli.diagnostics.challenge import Challenge, Proof
from abi_cli.listener import Listener
from abi_cli.model.simulator import Simulator
from abi_cli.model.streams import Purpose, stream_key
from abi_cli.model.workers import Pool
from abi_cli.spec import Spec, TrainingSection
from abi_cli.training.building import build
from abi_cli.training.sources import Fresh
from abi_cli.variables import Datasets

CHOOSING = 1_000
"""Data sets on which one of the rivals is chosen."""

FROM_SCRATCH = 0.6
"""Share of the time that the rival from scratch learns in; the heir has the rest."""

HEIRS_PACE = 0.5
"""Its learning rate, as a share of the usual one: it has learned before."""

DRAWS = 250
"""Of the chosen rival, of each data set."""

CONTRASTED = 100
"""Draws of a network without a density that a truth is told from."""

FEW = 64
"""Data sets by which networks are chosen."""

LOWEST = -1e3
"""Log densities end here where rivals are chosen."""

SCRATCH, HEIR = "attention and all statistics, from scratch", "the run's own networks, told more"


Model = Approximator | Heir


@dataclass(frozen=True)
class Rules:
    """The rules of a challenge.

    Arguments:
        seconds: That rivals may learn, together; what it takes to begin comes on top.
        course: Seconds → the course of a rival that learns for so long.
    """

    seconds: float
    course: Callable[[float], Course] = Clock


@dataclass(frozen=True)
class Challenged:
    """A run that is challenged.

    Arguments:
        own: Its networks, of which the heir has a copy.
        spec: The run's.
        simulator: Of its model.
        seed: That fresh simulations follow from.
    """

    own: Approximator
    spec: Spec
    simulator: Simulator
    seed: int


@dataclass(frozen=True)
class Rival:
    """A rival that has learned.

    Arguments:
        title: In a few words.
        simulations: That it has learned from.
    """

    title: str
    model: Model
    simulations: int


@dataclass(frozen=True)
class Challenger:
    """Rivals that have learned, one of which was chosen.

    Arguments:
        own: The networks that are challenged.
        rivals: The one from scratch first.
        chosen: The one that judges.
    """

    own: Approximator
    rivals: tuple[Rival, ...]
    chosen: Rival
    rules: Rules

    def against(self, datasets: Datasets, *, seed: int) -> Challenge:
        """Findings of the rivals on data sets that none of them has seen.

        Arguments:
            datasets: With their parameters.
            seed: Of draws.
        """
        scratch = self.rivals[0]
        proof = of_scratch = self.proof(scratch, datasets, seed=seed)
        if self.chosen is not scratch:
            proof = self.proof(self.chosen, datasets, seed=seed)
        return Challenge(
            rival=self.chosen.title,
            proof=proof,
            scratch=of_scratch,
            estimates=self._estimates(datasets, seed=seed),
            seconds=self.rules.seconds,
            simulations=sum(rival.simulations for rival in self.rivals),
        )

    def proof(self, rival: Rival, datasets: Datasets, *, seed: int) -> Proof:
        """The proof by one of them."""
        theta = parameters(self.own, datasets)
        if self.own.inference_network.has_density:
            return Proof.by_densities(
                log_density(rival.model, datasets, theta), log_density(self.own, datasets, theta)
            )
        # Without a density of its own, what the rival's has over that of a normal law of half of
        # its draws tells the truth from the other half.
        drawn = adapted_draws(self.own, datasets, draws=2 * CONTRASTED, seed=seed)
        known, told = drawn[:, :CONTRASTED], drawn[:, CONTRASTED:]
        points = np.concatenate([theta[:, None], told], axis=1)
        scores = densities_of(rival.model, datasets, points) - _normal(points, known)
        return Proof.by_scores(np.nan_to_num(scores, nan=-np.inf).clip(-1e3, 1e3))

    def _estimates(self, datasets: Datasets, *, seed: int) -> dict[str, np.ndarray]:
        """Draws of the chosen one on the user's scale."""
        drawn = adapted_draws(self.chosen.model, datasets, draws=DRAWS, seed=seed)
        rows = drawn.reshape(-1, drawn.shape[-1])
        parameters = self.own.adapter.inverse({INFERENCE_VARIABLES: rows})
        return dict(self.own.layout.parameters_of(parameters, drawn.shape[:2]))


def challenge(what: Challenged, workers: Pool, rules: Rules, listener: Listener) -> Challenger:
    """Let rivals of a run learn from fresh simulations, and choose one.

    Errors:
        UserFunctionError: A simulation failed.
    """
    # Streams of a seed of their own: nothing that the run has seen, or is judged on.
    seed = stream_key(what.seed, Purpose.CHALLENGE)[0] >> 1
    own = what.own
    with listener.task("preparing rivals"):
        few = what.simulator.simulate(seed=seed, purpose=Purpose.PILOT, start=0, stop=FEW)
        spec = means_of(what.spec, own.adapter, own.adapter.forward(few), choosing=CHOOSING)
        source = Fresh(what.simulator, workers, spec.training, seed=seed)
        pilot = source.pilot()
        adapter = knowing(own.adapter, pilot, own.layout, series=spec.series())
        scratch = build(spec, adapter, own.layout, adapter.forward(pilot), seed=seed % 2**31)
        held_out = source.validation(None) or pilot
    theta = parameters(own, held_out)

    def score(model: Model) -> float:
        return _score(model, held_out, theta)

    learner = _Learner(source, pilot, spec.training, rules, seed, listener, score)
    rivals = [learner.rival(SCRATCH, scratch, share=FROM_SCRATCH, pace=1.0)]
    if own.inference_network.has_density:
        heir = Heir.of(_copy(own), _copy(scratch), pilot)
        if heir is not None:
            rivals.append(learner.rival(HEIR, heir, share=1 - FROM_SCRATCH, pace=HEIRS_PACE))
    chosen = max(rivals, key=lambda rival: score(rival.model))
    return Challenger(own, tuple(rivals), chosen, rules)


@dataclass(frozen=True)
class _Learner:
    """Simulations that rivals learn from."""

    source: Fresh
    pilot: Datasets
    training: TrainingSection
    rules: Rules
    seed: int
    listener: Listener
    score: Callable[[Model], float]

    def rival(self, title: str, model: Model, *, share: float, pace: float) -> Rival:
        """A rival that has learned, or as it was before where that made it worse."""
        before, score = model.get_weights(), self.score(model)
        with self.listener.task(f"a rival learns ({title})", total=100, unit="%") as progress:
            steps = learn(
                model,
                self.source,
                self.pilot,
                training=self.training,
                begin=lambda: self.rules.course(share * self.rules.seconds),
                pace=pace,
                seed=self.seed,
                progress=progress,
            )
        if not is_finite(model):
            self.listener.note(f"the rival with {title} diverged: it is as it was to begin with")
            model.set_weights(before)
        elif self.score(model) < score:  # a course too short for its rate
            model.set_weights(before)
        return Rival(title, model, steps * self.training.batch_size)


def _copy(approximator: Approximator) -> Approximator:
    """Networks like these, that may learn on without them."""
    copy = Approximator.from_config(approximator.get_config())
    copy.set_weights(approximator.get_weights())
    return copy


def _score(model: Model, datasets: Datasets, theta: np.ndarray) -> float:
    """The mean log density of truths, none of which decides alone."""
    return float(np.mean(np.maximum(log_density(model, datasets, theta), LOWEST)))


def parameters(own: Approximator, datasets: Datasets) -> np.ndarray:
    """Adapted parameters of data sets, `(dataset, dim)`, float32."""
    adapted = own.adapter.forward(datasets)[INFERENCE_VARIABLES]
    return network_inputs({INFERENCE_VARIABLES: adapted})[INFERENCE_VARIABLES]


def log_density(model: Model, datasets: Datasets, theta: np.ndarray) -> np.ndarray:
    """Log density of adapted parameters `theta (dataset, dim)`, `(dataset,)`."""
    return by_row(backend.compiled(model.log_density), theta, model.told_of(datasets))


def densities_of(model: Model, datasets: Datasets, points: np.ndarray) -> np.ndarray:
    """Log densities of adapted parameters `(dataset, point, dim)`, `(dataset, point)`."""
    told = np.repeat(model.told_of(datasets), points.shape[1], axis=0)
    rows = points.reshape(-1, points.shape[-1])
    found = by_row(backend.compiled(model.log_density), rows, told)
    return found.reshape(points.shape[:2])


def adapted_draws(model: Model, datasets: Datasets, *, draws: int, seed: int) -> np.ndarray:
    """Draws on the scale of the networks, `(dataset, draw, dim)`."""
    network = model.inference_network
    blocks = sampler.blocks(
        backend.compiled(model.inverse, fused=network.fuse_draws),
        model.told_of(datasets),
        draws=draws,
        seed=seed,
        first=0,
        noise_dim=network.noise_dim,
        reach=None,
        predicted=lambda told: model.heard(told)[1:],
    )
    return np.concatenate([block.theta for block in blocks])


def _normal(points: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Log density, but for a constant, of points by the normal law of draws, `(dataset, point)`.

    Arguments:
        points: `(dataset, point, dim)`.
        draws: `(dataset, draw, dim)`.
    """
    mean = draws.mean(axis=1, keepdims=True)
    off = (draws - mean).astype(np.float64)
    covariance = np.einsum("nsi,nsj->nij", off, off) / (draws.shape[1] - 1)
    scale = np.einsum("nii->ni", covariance).mean(axis=1)
    covariance += 1e-6 * np.maximum(scale, 1e-12)[:, None, None] * np.eye(draws.shape[2])
    root = np.linalg.cholesky(covariance)
    z = np.linalg.solve(root, np.swapaxes((points - mean).astype(np.float64), 1, 2))
    return np.asarray(-0.5 * np.square(z).sum(axis=1))
