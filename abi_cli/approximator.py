"""The posterior approximator: a summary network and an inference network behind one adapter.

With simulated pairs (θ, y) from p(θ) p(y | θ), adapted to t(θ) and inputs x(y), the networks
minimize the negative log density of the truth,

    loss = − mean log q(t(θ) | s(x), c),    log q(t | s, c) = log f((t − m) / d | s, c) − Σ log d,

where f is the inference network's density and m, d are mean and sd of the parameters given plain
statistics of the data, fitted to the pilot and held fixed (`nn.standardization`). The expectation
of the loss differs from the mean Kullback–Leibler divergence of the approximate from the true
posteriors only by a constant (Papamakarios & Murray 2016, arXiv:1605.06376; Radev et al. 2020,
arXiv:2003.06281). Draws are made from NumPy's counter-based noise and mapped back to the user's
scale, whose densities are given. How it is kept in a file is written in `abi_cli.run.archive`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from abi_cli import backend, registry, sampler
from abi_cli.adapter.adapter import (
    INFERENCE_CONDITIONS,
    INFERENCE_VARIABLES,
    SUMMARY_STATISTICS,
    SUMMARY_VARIABLES,
    Adapter,
    summarized,
)
from abi_cli.adapter.batches import bare, in_buckets, network_inputs, summary_inputs
from abi_cli.adapter.targets import moved
from abi_cli.backend.loops import by_row, round_up
from abi_cli.errors import UsageError
from abi_cli.learner import Learner
from abi_cli.listener import SILENT, Listener
from abi_cli.networks.network import InferenceNetwork, SummaryNetwork, entries, shape_of
from abi_cli.nn.build import inference_layer, summary_layer
from abi_cli.nn.normality import regularised
from abi_cli.nn.standardization import ConditionalStandardization
from abi_cli.precision import refuse_not_finite
from abi_cli.variables import Datasets, DrawBlock, Layout, Value, count, take

CONDITION_ROWS = 256
"""Data sets summarized by one call."""

INITIAL_ROWS = 1_000
"""Pilot data sets on which networks scale themselves, and that are summarized at once meanwhile."""

FITTED_ROWS = 20_000
"""Pilot data sets to which the parameters' mean and sd given the data are fitted."""


@keras.saving.register_keras_serializable("abi")
class Approximator(Learner):
    """Networks with the adapter and layout that give their inputs and outputs a meaning.

    Arguments:
        adapter: The fitted adapter.
        layout: The model's variables, as seen in the pilot.
        summary: Config of the summary network; None where there is nothing to summarize.
        reader: Config of the network that reads statistics; None where the adapter makes none.
        inference: Config of the inference network.
        widths: Length of the vectors that are `inference_conditions` and the members of what is
            summarized (`summary_variables`, or what is in that group), where present; of what has a
            fixed shape, that.
        buckets: Sizes that sets are padded to, ascending; empty without sets or series.
        seed: The seed of the networks' structure and first weights.
        reach: Of draws of each parameter (`sampler`); None in runs from before.
    """

    def __init__(
        self,
        adapter: Adapter,
        layout: Layout,
        *,
        summary: SummaryNetwork | None,
        inference: InferenceNetwork,
        widths: Mapping[str, int | Sequence[int]],
        buckets: tuple[int, ...],
        seed: int,
        reader: SummaryNetwork | None = None,
        reach: Sequence[float] | None = None,
    ):
        super().__init__(name="approximator")
        self.adapter = adapter
        self.layout = layout
        self.buckets = tuple(buckets)
        self._summary, self._inference, self._widths = summary, inference, dict(widths)
        self._reader = reader if SUMMARY_STATISTICS in widths else None
        self._seed = seed
        self._reach = None if reach is None else tuple(reach)
        conditions = statistics = entries(shape_of(widths.get(INFERENCE_CONDITIONS, 0)))
        self.summary_network = None
        with backend.first_weights(seed):
            shapes = {name: shape_of(widths[name]) for name in summarized(widths)}
            if summary is not None:
                alone = shapes.get(SUMMARY_VARIABLES)
                self.summary_network = summary_layer(summary, alone or bare(shapes))
                conditions += summary.summary_dim
                statistics += self.summary_network.statistics_dim
            else:
                conditions = statistics = statistics + sum(map(entries, shapes.values()))
            self.reader = None
            if self._reader is not None:
                width = entries(shape_of(widths[SUMMARY_STATISTICS]))
                self.reader = summary_layer(self._reader, (width,))
                conditions, statistics = conditions + self._reader.summary_dim, statistics + width
            self.inference_network = inference_layer(inference, adapter.dim, conditions, seed)
        self.standardization = ConditionalStandardization.beside(
            adapter.statistics, dim=adapter.dim, draws=inference.has_draws
        )
        self.standardization.build((1, statistics))
        self._ends, self.built = (conditions, conditions + adapter.dim), True
        self._tell = backend.compiled(self.tell)
        fused = self.inference_network.fuse_draws
        self._inverse = backend.compiled(self.inverse, fused=fused)
        self._density = backend.compiled(self.log_density)
        self._objective = backend.compiled(self.objective)
        self._estimates = backend.compiled(self.estimates)

    def statistics(self, inputs: Mapping[str, Any]) -> Any:
        """Statistics of each data set that need no learned weights, `(batch, statistics)`."""
        summary = self.summary_network and self.summary_network.statistics
        return self._with_conditions(inputs, summary, inputs.get(SUMMARY_STATISTICS))

    def _with_conditions(
        self, inputs: Mapping[str, Any], summary: Callable[..., Any] | None, said: Any
    ) -> Any:
        """The inputs `said`, the summary of the data (or they themselves) and the conditions."""
        parts = [] if said is None else [said]
        if summary is not None:
            x, mask = summary_inputs(inputs)
            parts.append(summary(x, mask=mask))
        elif SUMMARY_VARIABLES in inputs:
            x = inputs[SUMMARY_VARIABLES]
            parts.append(x if len(x.shape) == 2 else ops.reshape(x, (-1, math.prod(x.shape[1:]))))
        if INFERENCE_CONDITIONS in inputs:
            parts.append(inputs[INFERENCE_CONDITIONS])
        return ops.concatenate(parts, axis=-1)

    def tell(self, inputs: Mapping[str, Any]) -> Any:
        """The vector that a posterior depends on: conditions, mean and log sd, `(batch, told)`."""
        return ops.concatenate(
            [self.conditions(inputs), *self.standardization(self.statistics(inputs))], axis=-1
        )

    def conditions(self, inputs: Mapping[str, Any]) -> Any:
        """Inputs of the inference network for each data set, `(batch, conditions)`."""
        told = self.reader and self.reader(inputs[SUMMARY_STATISTICS])
        return self._with_conditions(inputs, self.summary_network, told)

    def penalized(self, loss: Any, conditions: Any) -> Any:
        """The loss, and what summaries away from a normal distribution cost, if they do."""
        return regularised(loss, conditions, (self._reader, self._summary))

    def estimates(self, told: Any) -> Any:
        """Functionals of the standardized parameters, `(batch, dim, functional)`."""
        return self.inference_network.estimates(self.heard(told)[0])

    def mean_loss(self, adapted: Datasets) -> float:
        """The mean negative objective of adapted data sets, of any number, at fixed noise."""
        told = self.told(adapted)
        theta = network_inputs({INFERENCE_VARIABLES: adapted[INFERENCE_VARIABLES]})
        shape = len(told), self.inference_network.training_noise
        numbers = np.random.default_rng(0).standard_normal(shape, np.float32)
        return -float(by_row(self._objective, theta[INFERENCE_VARIABLES], told, numbers).mean())

    def summaries(self, datasets: Mapping[str, Value]) -> np.ndarray:
        """Inputs of the inference network for data sets, `(dataset, condition)`, float64."""
        return np.asarray(self.heard(self.told_of(datasets).astype(np.float64))[0])

    def estimate(self, datasets: Mapping[str, Value]) -> dict[str, np.ndarray]:
        """Point estimates of parameters on the user's scale, of a network that has no draws.

        Arguments:
            datasets: Context and observables on the user's scale; parameters are not looked at.

        Returns:
            Parameter → `(dataset, functional, *event)`; functionals are `inference_network.names`.

        Errors:
            AdapterError, Unanswerable: As `sample`.
        """
        told = self.told_of(datasets)
        _, mean, log_sd = self.heard(told.astype(np.float64))
        degrees, targets = self.inference_network.degrees, self.adapter.targets
        if targets is None:
            raise ValueError("Expected an adapter of parameters that are estimated; got another")
        estimates = moved(by_row(self._estimates, told), degrees, mean, np.exp(log_sd))
        refuse_not_finite(*(values := targets.on_users_scale(estimates, degrees)).values())
        return values

    @property
    def inference(self) -> InferenceNetwork:
        """The config of the inference network, nothing of which is left open."""
        return self._inference

    def initialize(self, adapted: Datasets) -> np.ndarray:
        """Let the networks scale themselves on adapted pilot data sets, before training.

        Returns:
            Parameters of these, standardized given the data, `(dataset, dim)`.
        """
        few = network_inputs(take(adapted, slice(0, INITIAL_ROWS)))
        if self.summary_network is not None:
            self.summary_network.adapt(*summary_inputs(few))
        if self.reader is not None:
            self.reader.adapt(few[SUMMARY_STATISTICS])
        compiled, statistics, theta = backend.compiled(self.statistics), [], []
        for first in range(0, min(count(adapted), FITTED_ROWS), INITIAL_ROWS):
            chunk = network_inputs(take(adapted, slice(first, first + INITIAL_ROWS)))
            statistics.append(backend.to_numpy(compiled(chunk)))
            theta.append(chunk[INFERENCE_VARIABLES])
        simple = self.adapter.statistics.simple if self.adapter.statistics else np.ones(0, bool)
        known, pilot = np.concatenate(statistics), np.concatenate(theta)
        self.standardization.adapt(known, pilot, simple)
        mean, log_sd = map(backend.to_numpy, self.standardization(known))
        if self._inference.has_draws:
            self._reach = sampler.reach_of(pilot, mean, log_sd)
        scores = (pilot - mean) / np.exp(log_sd)
        if self.inference_network.adapts:
            c, mean, log_sd = self.heard(backend.to_numpy(backend.compiled(self.tell)(few)))
            z, _ = self.standardization.standardized(few[INFERENCE_VARIABLES], mean, log_sd)
            self.inference_network.adapt(backend.to_numpy(z), c)
        return np.asarray(scores)

    def told(self, datasets: Mapping[str, Value]) -> np.ndarray:
        """The vectors that `tell` makes of adapted data sets, `(dataset, told)`, float32."""
        names = (*summarized(datasets), INFERENCE_CONDITIONS, SUMMARY_STATISTICS)
        adapted = {name: value for name, value in datasets.items() if name in names}
        if not count(adapted):
            raise ValueError("Expected at least one data set; got none")
        told = np.empty((count(adapted), self._ends[1] + self.adapter.dim), np.float32)
        for size, index in in_buckets(adapted, self.buckets, CONDITION_ROWS):
            padded = np.resize(index, round_up(len(index), CONDITION_ROWS))
            inputs = network_inputs(take(adapted, padded), size=size)
            told[index] = backend.to_numpy(self._tell(inputs))[: len(index)]
        return told

    def sample(
        self,
        datasets: Mapping[str, Value],
        *,
        draws: int,
        seed: int,
        first: int = 0,
        listener: Listener = SILENT,
    ) -> Iterator[DrawBlock]:
        """Posterior draws, block after block, in bounded memory (`sampler`).

        Arguments:
            datasets: Context and observables on the user's scale; parameters are not looked at.
            draws: How many for each data set.
            first: The place of the first data set among all that posteriors are asked of.

        Errors:
            AdapterError: A step, or single precision, has no place for a value.
            Unanswerable: Draws are not finite; rows count from 0, whatever `first`.
        """
        told = self.told_of(datasets)
        blocks = sampler.blocks(
            self._inverse,
            told,
            draws=draws,
            seed=seed,
            first=first,
            noise_dim=self.inference_network.noise_dim,
            reach=self._reach,
            predicted=lambda c: self.heard(c)[1:],
        )
        with listener.task("sampling", total=len(told) * draws, unit="draws") as progress:
            for group, start, theta, z in blocks:
                member = self.inference_network.member_of(z) if self.members else None
                rows = theta.reshape(-1, theta.shape[-1])
                parameters = self.adapter.inverse({INFERENCE_VARIABLES: rows})
                values = self.layout.parameters_of(parameters, theta.shape[:2])
                refuse_not_finite(*values.values(), first=group.start)
                yield DrawBlock(first + group.start, start, values, member)
                progress.advance(len(rows))

    @property
    def members(self) -> int:
        """The number of networks that are mixed; 0 where this is no ensemble."""
        return len(getattr(self.inference_network, "members", ()))

    def told_of(self, datasets: Mapping[str, Value]) -> np.ndarray:
        """The vectors `told` of data sets on the user's scale, checked to be finite."""
        told = self.told(self.adapter.forward(self._observed(datasets)))
        refuse_not_finite(told)
        return told

    def _observed(self, datasets: Mapping[str, Value]) -> Datasets:
        inferred = {variable.name for variable in self.layout.of("parameter", "nuisance")}
        return {name: value for name, value in datasets.items() if name not in inferred}

    def log_prob(
        self, datasets: Mapping[str, Value], parameters: Mapping[str, Value]
    ) -> np.ndarray:
        """Log posterior density of row i of `parameters` given data set i, `(dataset,)`, float64.

        It is the density on the user's scale, −inf outside the support.

        Errors:
            UsageError: The inference network has no density.
            AdapterError, Unanswerable: As `sample`.
        """
        if not self.inference_network.has_density:
            raise UsageError(
                f"{self._inference.name} gives draws, but no density",
                hint="Train with another network, such as -s networks.inference=flow_matching.",
            )
        observed = self._observed(datasets)
        told = self.told_of(datasets)
        density = np.full(len(told), -math.inf)
        rows = np.flatnonzero(self.adapter.in_support(parameters))
        if not len(rows):
            return density
        supported = take(parameters, rows)
        adapted = self.adapter.forward({**take(observed, rows), **supported})
        theta = network_inputs({INFERENCE_VARIABLES: adapted[INFERENCE_VARIABLES]})
        log_q = by_row(self._density, *theta.values(), told[rows])
        density[rows] = log_q + self.adapter.log_det(supported)
        refuse_not_finite(np.where(np.isneginf(density), 0.0, density))
        return density

    def get_config(self) -> dict[str, Any]:
        """The configuration of everything but the weights, as plain JSON values."""
        return {
            "adapter": self.adapter.to_config(),
            "layout": self.layout.to_config(),
            "summary": self._summary and self._summary.to_config(),
            "reader": self._reader and self._reader.to_config(),
            "inference": self._inference.to_config(),
            "widths": self._widths,
            "buckets": list(self.buckets),
            "seed": self._seed,
            "reach": self._reach,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Approximator:  # noqa: ARG003  # Keras's signature
        """The approximator that `get_config` described; this package's registry finds its parts."""

        def part(kind: str, name: str, contract: type) -> Any:
            said = config.get(name)
            return said and registry.expected(registry.from_config(kind, said), contract)

        return cls(
            Adapter.from_config(config["adapter"]),
            Layout.from_config(config["layout"]),
            summary=part("summary network", "summary", SummaryNetwork),
            inference=part("inference network", "inference", InferenceNetwork),
            reader=part("summary network", "reader", SummaryNetwork),
            widths=config["widths"],
            buckets=tuple(config["buckets"]),
            seed=config["seed"],
            reach=config.get("reach"),
        )
