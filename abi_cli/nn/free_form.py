"""Free-form flows: noise turned into parameters along an angle φ, by a network that is not tied
to be invertible.

All of them join data x and noise z ~ N(0, I) on the circle

    y(φ) = cos φ x + sin φ z,    φ from 0 (data) to π/2 (noise),

and learn F(y, φ | c), the mean of its derivative cos φ z − sin φ x given y. Then dy/dφ = F carries
noise to draws, and back (Lipman et al. 2022, arXiv:2210.02747; Song et al. 2020, arXiv:2011.13456).
In other words for the same curve: the straight path (1 − t) x + t z of flow matching is y times
√(t² + (1 − t)²) at tan φ = t / (1 − t); the cosine schedule of diffusion is y itself, and F its
"velocity" (Salimans & Ho 2022, arXiv:2202.00512); a noise level σ is tan φ (Karras et al. 2022,
arXiv:2206.00364).

Parameters come standardized given the data, so that N(0, I) is the first guess. For it F is zero,
and so is the network to begin with: draws of an untrained network are those of the best Gaussian.
The density is by the instantaneous change of variables (Chen et al. 2018, arXiv:1806.07366),

    log q(x) = log N(y(π/2)) + ∫ div F dφ,    the divergence exact (`nn.time_network`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from keras import ops

from abi_cli.networks import parts_inference as words
from abi_cli.nn.base import Normal, log_proposal
from abi_cli.nn.inference import InferenceLayer
from abi_cli.nn.integrators import Field, State, integrate
from abi_cli.nn.time_network import TimeNetwork
from abi_cli.nn.transport import paired

NOISE_END = math.pi / 2

TOLERANCE = 1e-5
"""Error tolerance of an adaptive step, unless the options say another."""

LOGIT_MEAN, LOGIT_SD = -1.0, 1.2
"""Mean and sd of the logit of `logit_normal` times of flow matching."""

EDM_MEAN, EDM_SD = -1.2, 1.2
"""Mean and sd of log σ under the schedule `edm` of diffusion."""

MOST_WEIGHT = 25.0
"""Largest weight of the squared error where diffusion predicts the score."""

CONSISTENCY_MEAN, CONSISTENCY_SD = -1.0, 1.4
"""Mean and sd of the log of tan φ where consistency is learned."""

SOFTENING = 0.1
"""Number added to the size of g, by which g is divided in the loss of consistency."""


def uniform_share(score: Any) -> Any:
    """Φ(score): uniform in (0, 1) where scores are standard normal."""
    return 0.5 * (1.0 + ops.erf(score / math.sqrt(2.0)))


def normal_score(share: Any) -> Any:
    """Φ⁻¹(share)."""
    return math.sqrt(2.0) * ops.erfinv(2.0 * share - 1.0)


class FreeForm(InferenceLayer):
    """A free-form flow: the pairs that it learns from, and the network that learns them.

    Of each data set so many pairs (φ, z) are learned from in a step (`repeats`): the summary of its
    data, which is costly, is the same for all of them.

    Arguments:
        options: As the spec has them.
        seed: Seed of the network's first weights.
    """

    loss_is_density = False
    fuse_draws = True

    def __init__(self, options: words.FreeForm, *, dim: int, seed: int):
        super().__init__(dim=dim)
        self.options = options
        self.network = TimeNetwork(dim=dim, depth=options.depth, width=options.width, seed=seed)
        self.training_noise = options.repeats * (dim + 1)

    def build(self, conditions_shape: tuple[int | None, ...]) -> None:
        """Make the weights for `conditions_shape[-1]` conditions."""
        self.network.build(conditions_shape)
        super().build(conditions_shape)

    @abstractmethod
    def angle(self, share: Any) -> Any:
        """Angles φ of shares of the way, uniform in (0, 1): the density of the training angles."""

    def pairs(self, theta: Any, noise: Any, c: Any) -> tuple[Any, Any, Any]:  # noqa: ARG002
        """Training pairs: φ `(batch, repeat, 1)`, x and z `(batch, repeat, dim)`.

        Shares of the way are spread evenly over a batch, and those of each data set over the whole
        way: fewer accidents than independent ones. (On crescents the mean KL was 0.043 nats so,
        0.058 with the repeats of a data set side by side.)
        """
        batch, repeats = ops.shape(theta)[0], self.options.repeats
        noise = ops.reshape(noise, (batch, repeats, self.dim + 1))
        z, share = noise[..., : self.dim], uniform_share(noise[..., -1:])
        places = ops.cast(ops.arange(batch * repeats), "float32") / (batch * repeats)
        places = ops.transpose(ops.reshape(places, (repeats, batch)))[..., None]
        share = places + share / (batch * repeats)
        x = theta[:, None, :] + ops.zeros_like(z)
        return self.angle(ops.clip(share, 1e-5, 1 - 1e-5)), x, z

    def objective(self, theta: Any, c: Any, noise: Any = None) -> Any:
        """Minus the mean square error of F over the pairs, `(batch,)`, per coordinate."""
        phi, x, z = self.pairs(theta, noise, c)
        y = ops.cos(phi) * x + ops.sin(phi) * z
        target = ops.cos(phi) * z - ops.sin(phi) * x
        error = self.network(y, phi, self.network.conditioning(c[:, None, :])) - target
        return -ops.mean(self.weight(phi) * ops.square(error), axis=(-2, -1))

    def weight(self, phi: Any) -> Any:
        """Weight of the squared error of F at φ."""
        return ops.ones_like(phi)


class Solved(FreeForm):
    """Free-form flows with draws and densities by solving dy/dφ = F."""

    options: words.Solved

    def __init__(self, options: words.Solved, *, dim: int, seed: int):
        super().__init__(options, dim=dim, seed=seed)
        self.base = Normal(dim=dim)

    def backward(self, z: Any, c: Any) -> Any:
        """Parameters that `forward` maps to `z (dataset, draw, dim)`, given `c (dataset, 1, …)`."""
        given = self.network.conditioning(c)
        ends = (NOISE_END, 0.0)
        return self._solved(lambda state, phi: (self.network(state[0], phi, given),), (z,), ends)[0]

    def inverse(self, z: Any, c: Any) -> Any:
        """Draws `(dataset, draw, dim)` from noise of that shape and `c (dataset, 1, …)`."""
        return self.backward(z, c)

    def forward(self, theta: Any, c: Any) -> tuple[Any, Any]:
        """The noise that `theta (batch, dim)` is drawn from, and that map's log-determinant."""
        given = self.network.conditioning(c)
        return self._solved(
            lambda state, phi: self.network.divergence(state[0], phi, given),
            (theta, ops.zeros_like(theta[..., 0])),
            (0.0, NOISE_END),
        )

    def log_prob(self, theta: Any, c: Any) -> Any:
        """Log density `(batch,)` of `theta (batch, dim)` given `c (batch, conditions)`."""
        z, log_det = self.forward(theta, c)
        return log_det + self.base.log_prob(z)

    def propose(self, z: Any, c: Any, width: Any) -> Any:
        """Draws of a base `width` times as wide, by the equation that densities are of."""
        return self.backward(width * z[..., : self.dim], c)

    def log_proposal(self, theta: Any, c: Any) -> Any:
        """Log density of what `propose` gives, `(dataset, draw)`."""
        z, log_det = self.forward(theta, c)
        return log_det + log_proposal(self.base, z)

    def _solved(self, field: Field, state: State, ends: tuple[float, float]) -> State:
        return integrate(
            field,
            state,
            ends,
            integrator=self.options.integrator,
            steps=self.options.steps,
            tolerance=self.options.tolerance or TOLERANCE,
        )


class FlowMatching(Solved):
    """F learned at times t of the straight path (1 − t) x + t z.

    (Lipman et al. 2022, arXiv:2210.02747; for posteriors Wildberger et al. 2023, arXiv:2305.17161.)
    Times are uniform in (0, 1), or have a normal logit of `LOGIT_MEAN` and `LOGIT_SD` (Esser et al.
    2024, arXiv:2403.03206). With `optimal_transport` noise and parameters of a batch are paired by
    `nn.transport`.
    """

    options: words.FlowMatching

    def __init__(self, options: words.FlowMatching, *, dim: int, seed: int):
        super().__init__(options, dim=dim, seed=seed)
        if options.optimal_transport:
            self.training_noise += options.repeats

    def angle(self, share: Any) -> Any:
        """φ with tan φ = t / (1 − t)."""
        if self.options.times == "uniform":
            return ops.arctan2(share, 1.0 - share)
        return ops.arctan(ops.exp(LOGIT_MEAN + LOGIT_SD * normal_score(share)))

    def pairs(self, theta: Any, noise: Any, c: Any) -> tuple[Any, Any, Any]:
        """Training pairs as in `FreeForm`, with near noise where optimal transport is on."""
        if not self.options.optimal_transport:
            return super().pairs(theta, noise, c)
        phi, x, z = super().pairs(theta, noise[:, self.options.repeats :], c)
        share = ops.transpose(uniform_share(noise[:, : self.options.repeats]))
        near = paired(theta, ops.transpose(z, (1, 0, 2)), c, share)
        return phi, x, ops.stop_gradient(ops.transpose(near, (1, 0, 2)))


class Diffusion(Solved):
    """F learned at the noise levels of a schedule; draws by ODE or SDE.

    Of the schedules, `cosine` learns from angles φ evenly (Nichol & Dhariwal 2021,
    arXiv:2102.09672), `edm` from noise levels σ = tan φ that are log-normal (Karras et al. 2022,
    arXiv:2206.00364). What is "predicted" says in what the error is squared; with
    y = cos φ x + sin φ z each gives the others:

        velocity  F = cos φ z − sin φ x                    weight 1
        noise     ẑ = sin φ y + cos φ F                    weight cos² φ
        score     −ẑ / sin φ                               weight cot² φ, 25 at the most

    (a bound on what the smallest noise weighs: Hang et al. 2023, arXiv:2303.09556). Draws are made
    by the probability-flow ODE, as densities are (Song et al. 2020, arXiv:2011.13456), or
    stochastically (Karras et al., Algorithm 2): before each step from φ to φ', half a step of fresh
    noise n is added,

        y(φ̂) = (cos φ̂ / cos φ) y + √(sin² φ̂ − sin² φ cos² φ̂ / cos² φ) n,    φ̂ = φ + (φ − φ') / 2

    and the ODE solved from φ̂ to φ' by the midpoint rule. What noise is added is exact, so that the
    steps' errors are of second order. (Ancestral steps, of first order, made a normal posterior 4 %
    too narrow in 50 steps, and one of sd 0.3 9 %.) The fresh noise comes with that of the draw.
    """

    options: words.Diffusion

    def __init__(self, options: words.Diffusion, *, dim: int, seed: int):
        super().__init__(options, dim=dim, seed=seed)
        if options.sampler == "sde":
            self.noise_dim = dim * (options.steps + 1)

    def angle(self, share: Any) -> Any:
        """φ by the schedule."""
        if self.options.schedule == "cosine":
            return NOISE_END * share
        return ops.arctan(ops.exp(EDM_MEAN + EDM_SD * normal_score(share)))

    def weight(self, phi: Any) -> Any:
        """Weight of the squared error of F at φ."""
        cosine = ops.square(ops.cos(phi))
        if self.options.prediction == "velocity":
            return ops.ones_like(phi)
        if self.options.prediction == "noise":
            return cosine
        return ops.minimum(cosine / ops.square(ops.sin(phi)), MOST_WEIGHT)

    def inverse(self, z: Any, c: Any) -> Any:
        """Draws `(dataset, draw, dim)` from noise `(dataset, draw, noise_dim)`."""
        if self.options.sampler == "ode":
            return super().inverse(z, c)
        given = self.network.conditioning(c)
        fresh = ops.reshape(z, (*ops.shape(z)[:-1], self.options.steps + 1, self.dim))
        width = NOISE_END / self.options.steps

        def body(number: Any, y: Any) -> Any:
            phi = ops.full((1, 1, 1), NOISE_END) - width * ops.cast(number, "float32")
            noised = ops.where(number > 0, phi + width / 2, phi)
            kept = ops.where(number > 0, ops.cos(noised) / ops.cos(phi), 1.0)
            added = ops.square(ops.sin(noised)) - ops.square(kept * ops.sin(phi))
            n = ops.take(fresh, number + 1, axis=-2)
            y = kept * y + ops.sqrt(ops.maximum(added, 0.0)) * n
            back = phi - width - noised
            middle = y + back / 2 * self.network(y, noised, given)
            return y + back * self.network(middle, noised + back / 2, given)

        return ops.fori_loop(0, self.options.steps, body, fresh[..., 0, :])


class Consistency(FreeForm):
    """Draws in `steps` evaluations; between them data are noised again, with fresh noise.

    f(y, φ) = cos φ y − sin φ F(y, φ) is to be the same all along a path of the ODE dy/dφ = F*. In
    continuous time this asks the derivative of f along the path to vanish (Lu & Song 2024,
    arXiv:2410.11081), which is brought about by

        loss = |F − stop(F + g / (|g| + 0.1))|²
        g = −cos² φ (F − dy/dφ) − cos φ sin φ (y + dF/dφ)

    with dy/dφ = cos φ z − sin φ x of the pair itself, and dF/dφ the derivative of F along it, here
    in forward mode (`TimeNetwork.jvp`). The value of the loss is nearly constant: it does not tell
    how far training has come. There is no density.
    """

    options: words.Consistency
    has_density = False

    def __init__(self, options: words.Consistency, *, dim: int, seed: int):
        super().__init__(options, dim=dim, seed=seed)
        self.noise_dim = dim * options.steps

    def angle(self, share: Any) -> Any:
        """φ whose log tangent is normal."""
        return ops.arctan(ops.exp(CONSISTENCY_MEAN + CONSISTENCY_SD * normal_score(share)))

    def objective(self, theta: Any, c: Any, noise: Any = None) -> Any:
        """Minus the loss above, `(batch,)`, the mean over pairs."""
        phi, x, z = self.pairs(theta, noise, c)
        cos, sin = ops.cos(phi), ops.sin(phi)
        y, dy = cos * x + sin * z, cos * z - sin * x
        given = self.network.conditioning(c[:, None, :])
        field, along = self.network.jvp(y, phi, given, dy, ops.ones_like(phi))
        g = -ops.square(cos) * (field - dy) - cos * sin * (y + along)
        size = ops.sqrt(ops.mean(ops.square(g), axis=-1, keepdims=True) + 1e-12)
        aim = ops.stop_gradient(field + g / (size + SOFTENING))
        return -ops.mean(ops.square(field - aim), axis=(-2, -1))

    def inverse(self, z: Any, c: Any) -> Any:
        """Draws `(dataset, draw, dim)` from noise `(dataset, draw, noise_dim)`."""
        given, steps = self.network.conditioning(c), self.options.steps
        fresh = ops.reshape(z, (*ops.shape(z)[:-1], steps, self.dim))
        x = ops.zeros_like(fresh[..., 0, :])
        for number in range(steps):
            phi = ops.full((1, 1, 1), NOISE_END * (steps - number) / steps)
            y = ops.cos(phi) * x + ops.sin(phi) * fresh[..., number, :]
            x = ops.cos(phi) * y - ops.sin(phi) * self.network(y, phi, given)
        return x

    def log_prob(self, theta: Any, c: Any) -> Any:
        """Refuse: there is no density.

        Errors:
            NotImplementedError: Always.
        """
        raise NotImplementedError("a consistency model has no density")
