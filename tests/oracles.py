"""Exact posteriors to measure approximations against.

Both models are linear regressions whose posterior is known to the precision of a double. They share
one derivation. With design matrix `X (obs, dim)`, least-squares estimate `b`, residual sum of
squares `R` and `G = XᵀX`, the likelihood is

    p(y | β, σ) = (2πσ²)^(-N/2) exp(-(R + (β - b)ᵀ G (β - b)) / 2σ²)

`R` is summed from residuals, never from differences of squares, so that it keeps its digits where
the residuals are a millionth of the data.

Everything is vectorised over data sets: axes are named `dataset`, `draw`, `obs`, `dim`, `grid`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from abi_cli.variables import Datasets, Ragged

LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True)
class LeastSquares:
    """What the likelihood knows about the coefficients of each data set.

    Arguments:
        count: `(dataset,)`, number of observations N.
        estimate: `(dataset, dim)`, least-squares coefficients b.
        gram: `(dataset, dim, dim)`, XᵀX.
        residual: `(dataset,)`, residual sum of squares R.
    """

    count: np.ndarray
    estimate: np.ndarray
    gram: np.ndarray
    residual: np.ndarray

    @classmethod
    def fit(cls, x: Ragged, y: Ragged) -> LeastSquares:
        """Regress y on an intercept and x.

        Arguments:
            x: Values `(obs,)` or `(obs, covariate)`.
            y: Values `(obs,)`.
        """
        design = np.column_stack([np.ones(len(x.values)), x.values])
        starts = x.starts()
        owner = np.repeat(np.arange(len(x)), x.row_size)
        gram = np.add.reduceat(design[:, :, None] * design[:, None, :], starts)
        moment = np.add.reduceat(design * y.values[:, None], starts)
        estimate = np.linalg.solve(gram, moment[..., None])[..., 0]
        # One step of iterative refinement: b is then as good as the data, even for tiny residuals.
        left = y.values - np.einsum("nd,nd->n", design, estimate[owner])
        moment = np.add.reduceat(design * left[:, None], starts)
        estimate = estimate + np.linalg.solve(gram, moment[..., None])[..., 0]
        left = y.values - np.einsum("nd,nd->n", design, estimate[owner])
        return cls(x.row_size.astype(float), estimate, gram, np.add.reduceat(left**2, starts))


@dataclass(frozen=True)
class ExactRegression:
    """Posterior of the tutorial's model, one per data set.

    β ~ N([2, 0], diag([3, 1]²)), σ ~ Gamma(1, 1), x ~ N(0, 1), y ~ N(β₀ + β₁ x, σ).

    Let S = diag(3, 1) and S G S = Q Λ Qᵀ. In coordinates u = Qᵀ S⁻¹ (β - m) the prior is standard
    normal and the likelihood of u₁, u₂ given σ factorises, so that

        u_j | σ, y ~ N(û_j λ_j / (λ_j + σ²), σ² / (λ_j + σ²))
        log p(y | σ) = -(N - 2) log σ - R / 2σ² + Σ_j log N(û_j; 0, 1 + σ² / λ_j) + constant

    with û the least-squares estimate in these coordinates. What is left, the integral over
    t = log σ, is a trapezoid sum over where the integrand is not negligible; for a smooth integrand
    that vanishes at both ends it converges geometrically in the number of points.

    Build it with `ExactRegression.given`.

    Arguments:
        data: The least-squares fit of each data set.
        axes: `(dataset, dim, dim)`, S Q.
        precision: `(dataset, dim)`, λ.
        centre: `(dataset, dim)`, û.
        log_sigma: `(dataset, grid)`, nodes of the quadrature, equally spaced for each data set.
        weight: `(dataset, grid)`, probability of each node; sums to one.
        log_evidence: `(dataset,)`, log p(y | x).
    """

    data: LeastSquares
    axes: np.ndarray
    precision: np.ndarray
    centre: np.ndarray
    log_sigma: np.ndarray
    weight: np.ndarray
    log_evidence: np.ndarray

    LOC = np.array([2.0, 0.0])
    SCALE = np.array([3.0, 1.0])

    @classmethod
    def given(cls, x: Ragged, y: Ragged, *, nodes: int = 512) -> ExactRegression:
        """The posteriors of these data sets, each of three observations or more.

        Arguments:
            x: Values `(obs,)`.
            y: Values `(obs,)`.
            nodes: Points of the quadrature.
        """
        data = LeastSquares.fit(x, y)
        precision, rotation = np.linalg.eigh(data.gram * np.outer(cls.SCALE, cls.SCALE))
        centre = np.einsum("kji,kj->ki", rotation, (data.estimate - cls.LOC) / cls.SCALE)

        def log_joint(t: np.ndarray) -> np.ndarray:
            """log p(y, t) at t `(dataset, grid)`."""
            sigma2 = np.exp(2 * t)
            value: np.ndarray = -0.5 * data.residual[:, None] / sigma2 - np.exp(t) + t
            value -= (data.count[:, None] - 2) * t
            for j in range(2):
                spread = 1 + sigma2 / precision[:, j, None]
                value -= 0.5 * (np.log(spread) + centre[:, j, None] ** 2 / spread)
            return value

        coarse = np.broadcast_to(np.linspace(-25.0, 5.0, 601), (len(x), 601))
        height = log_joint(coarse)
        step = coarse[0, 1] - coarse[0, 0]
        high = height > height.max(axis=1, keepdims=True) - 45
        first = coarse[0, high.argmax(axis=1)] - step
        last = coarse[0, 600 - high[:, ::-1].argmax(axis=1)] + step
        t = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, nodes)
        height = log_joint(t)
        peak = height.max(axis=1, keepdims=True)
        mass = np.exp(height - peak)
        total = mass.sum(axis=1, keepdims=True)
        constant = -0.5 * data.count * LOG_2PI - 0.5 * np.log(precision).sum(axis=1)
        evidence = constant + (peak + np.log(total))[:, 0] + np.log((last - first) / (nodes - 1))
        axes = cls.SCALE[:, None] * rotation
        return cls(data, axes, precision, centre, t, mass / total, evidence)

    def log_density(self, beta: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """log p(β, σ | x, y), −inf where σ ≤ 0.

        Arguments:
            beta: `(dataset, 2)` or `(dataset, draw, 2)`.
            sigma: `(dataset,)` or `(dataset, draw)`.

        Returns:
            Of the shape of `sigma`.
        """
        one = sigma.ndim == 1
        if one:
            beta, sigma = beta[:, None], sigma[:, None]
        positive = sigma > 0
        s = np.where(positive, sigma, 1.0)
        error = beta - self.data.estimate[:, None]
        square = np.einsum("kni,kij,knj->kn", error, self.data.gram, error)
        value = -0.5 * (square + self.data.residual[:, None]) / s**2
        value -= self.data.count[:, None] * (np.log(s) + 0.5 * LOG_2PI)
        z = (beta - self.LOC) / self.SCALE
        value -= 0.5 * (z**2).sum(axis=-1) + np.log(self.SCALE).sum() + LOG_2PI + s
        value = np.where(positive, value - self.log_evidence[:, None], -np.inf)
        return value[:, 0] if one else value

    def draws(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Independent draws: β `(dataset, draw, 2)` and σ `(dataset, draw)`.

        log σ by inversion of its distribution function, linear between nodes; then β given σ.
        """
        # A node owns the cell around it, so the distribution function is known at cell borders.
        cumulative = np.cumsum(self.weight, axis=1)
        step = (self.log_sigma[:, -1] - self.log_sigma[:, 0]) / (self.log_sigma.shape[1] - 1)
        uniform = rng.uniform(size=(len(step), count))
        t = np.stack(
            [
                np.interp(u, c, node + 0.5 * h)
                for u, c, node, h in zip(uniform, cumulative, self.log_sigma, step, strict=True)
            ]
        )
        sigma = np.exp(t)
        mean, sd = self._coordinates(sigma)
        u = mean + sd * rng.standard_normal(mean.shape)
        return self.LOC + np.einsum("kij,knj->kni", self.axes, u), sigma

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and standard deviations of (β₀, β₁, σ), each `(dataset, 3)`."""
        sigma = np.exp(self.log_sigma)
        mean, sd = self._coordinates(sigma)
        location = np.einsum("kij,kgj->kgi", self.axes, mean)
        within = np.einsum("kij,kgj->kgi", self.axes**2, sd**2)
        value = np.concatenate([self.LOC + location, sigma[..., None]], axis=-1)
        variance = np.concatenate([within, np.zeros_like(sigma)[..., None]], axis=-1)
        average = np.einsum("kg,kgi->ki", self.weight, value)
        variance = variance + (value - average[:, None]) ** 2
        return average, np.sqrt(np.einsum("kg,kgi->ki", self.weight, variance))

    def _coordinates(self, sigma: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and sd of u given sigma `(dataset, draw)`, each `(dataset, draw, 2)`."""
        precision = self.precision[:, None]
        total = precision + sigma[..., None] ** 2
        return self.centre[:, None] * precision / total, sigma[..., None] / np.sqrt(total)


@dataclass(frozen=True)
class ConjugateRegression:
    """Posterior of a normal-inverse-gamma regression in large units, one per data set.

    σ² ~ InvGamma(3, 2·100²), β | σ ~ N([200, 0, 0, 0], σ² diag([3, 0.02, 0.02, 0.02]²)),
    x ~ N(0, 100) in three columns, y ~ N(β₀ + x β₁₋₃, σ). `specs/conjugate.py` draws from it.

    The posterior is of the same family, in closed form (Gelman et al., Bayesian Data Analysis, 3rd
    edition, section 14.8): with prior precision P = diag(v)⁻¹, where v are prior variances in units
    of σ²,

        P' = P + G;  m' = P'⁻¹ (P m + G b);  a' = a + N/2
        b' = b₀ + (R + (b - m')ᵀ G (b - m') + (m - m')ᵀ P (m - m')) / 2

    Build it with `ConjugateRegression.given`.

    Arguments:
        mean: `(dataset, 4)`, m'.
        precision: `(dataset, 4, 4)`, P'.
        shape: `(dataset,)`, a'.
        rate: `(dataset,)`, b'.
    """

    mean: np.ndarray
    precision: np.ndarray
    shape: np.ndarray
    rate: np.ndarray

    LOC = np.array([200.0, 0.0, 0.0, 0.0])
    RELATIVE_SCALE = np.array([3.0, 0.02, 0.02, 0.02])
    SHAPE = 3.0
    RATE = 2.0e4
    X_SCALE = 100.0

    @classmethod
    def given(cls, x: Ragged, y: Ragged) -> ConjugateRegression:
        """The posteriors of these data sets, each of five observations or more.

        Arguments:
            x: Values `(obs, 3)`.
            y: Values `(obs,)`.
        """
        data = LeastSquares.fit(x, y)
        prior = np.diag(cls.RELATIVE_SCALE**-2.0)
        precision = prior + data.gram
        moment = prior @ cls.LOC + np.einsum("kij,kj->ki", data.gram, data.estimate)
        mean = np.linalg.solve(precision, moment[..., None])[..., 0]
        shift, pull = data.estimate - mean, cls.LOC - mean
        square = np.einsum("ki,kij,kj->k", shift, data.gram, shift)
        square += np.einsum("ki,ij,kj->k", pull, prior, pull) + data.residual
        return cls(mean, precision, cls.SHAPE + data.count / 2, cls.RATE + square / 2)

    def log_density(self, beta: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        """log p(β, σ | x, y), −inf where σ ≤ 0.

        Arguments:
            beta: `(dataset, 4)` or `(dataset, draw, 4)`.
            sigma: `(dataset,)` or `(dataset, draw)`.

        Returns:
            Of the shape of `sigma`.
        """
        one = sigma.ndim == 1
        if one:
            beta, sigma = beta[:, None], sigma[:, None]
        positive = sigma > 0
        s = np.where(positive, sigma, 1.0)
        shape, rate = self.shape[:, None], self.rate[:, None]
        error = beta - self.mean[:, None]
        square = np.einsum("kni,kij,knj->kn", error, self.precision, error)
        _, log_det = np.linalg.slogdet(self.precision)
        value = 0.5 * log_det[:, None] - 4 * (np.log(s) + 0.5 * LOG_2PI) - 0.5 * square / s**2
        # The density of σ is that of σ² times the Jacobian 2σ.
        value += shape * np.log(rate) - gammaln(shape) + np.log(2.0)
        value -= (2 * shape + 1) * np.log(s) + rate / s**2
        value = np.where(positive, value, -np.inf)
        return value[:, 0] if one else value

    def draws(self, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Independent draws: β `(dataset, draw, 4)` and σ `(dataset, draw)`."""
        gamma = rng.gamma(self.shape[:, None], size=(len(self.shape), count))
        sigma = np.sqrt(self.rate[:, None] / gamma)
        root = np.linalg.inv(np.linalg.cholesky(self.precision))  # rootᵀ root = P'⁻¹
        noise = rng.standard_normal((len(self.shape), count, 4)) * sigma[..., None]
        return self.mean[:, None] + np.einsum("kji,knj->kni", root, noise), sigma

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Posterior means and standard deviations of (β, σ), each `(dataset, 5)`."""
        variance = self.rate / (self.shape - 1)
        sigma = np.sqrt(self.rate) * np.exp(gammaln(self.shape - 0.5) - gammaln(self.shape))
        diagonal = np.diagonal(np.linalg.inv(self.precision), axis1=1, axis2=2)
        sd = np.column_stack([np.sqrt(variance[:, None] * diagonal), np.sqrt(variance - sigma**2)])
        return np.column_stack([self.mean, sigma]), sd


def simulate_regression(datasets: int, rng: np.random.Generator) -> Datasets:
    """Data sets and truths of the tutorial's model, N uniform on 5..14."""
    size = rng.integers(5, 15, datasets)
    beta = rng.normal(ExactRegression.LOC, ExactRegression.SCALE, (datasets, 2))
    sigma = rng.gamma(1.0, 1.0, datasets)
    x = rng.standard_normal(int(size.sum()))
    owner = np.repeat(np.arange(datasets), size)
    y = beta[owner, 0] + beta[owner, 1] * x + sigma[owner] * rng.standard_normal(len(x))
    return {"N": size, "beta": beta, "sigma": sigma, "x": Ragged(x, size), "y": Ragged(y, size)}


def simulate_conjugate(datasets: int, rng: np.random.Generator) -> Datasets:
    """Data sets and truths of the conjugate model, N uniform on 20..200."""
    model = ConjugateRegression
    size = rng.integers(20, 201, datasets)
    sigma = np.sqrt(model.RATE / rng.gamma(model.SHAPE, size=datasets))
    beta = model.LOC + sigma[:, None] * rng.normal(0, model.RELATIVE_SCALE, (datasets, 4))
    x = rng.normal(0, model.X_SCALE, (int(size.sum()), 3))
    owner = np.repeat(np.arange(datasets), size)
    y = beta[owner, 0] + np.einsum("nd,nd->n", x, beta[owner, 1:])
    y += sigma[owner] * rng.standard_normal(len(x))
    return {"N": size, "beta": beta, "sigma": sigma, "x": Ragged(x, size), "y": Ragged(y, size)}


@dataclass(frozen=True)
class Divergence:
    """How far approximate posteriors are from exact ones, in nats.

    Arguments:
        mean: Mean over data sets of log p(θ | x) − log q(θ | x) at the true θ, which estimates the
            mean of KL(p ‖ q).
        standard_error: Of that mean.
        median: Over data sets.
        high: 95th percentile over data sets.
        deciles: Means within tenths of the data sets, from the smallest σ to the largest.
    """

    mean: float
    standard_error: float
    median: float
    high: float
    deciles: tuple[float, ...]


def mean_kl(log_q: np.ndarray, log_p: np.ndarray, *, sigma: np.ndarray) -> Divergence:
    """Divergence of approximations from the truth.

    Arguments:
        log_q: `(dataset,)`, approximate log posterior density of the true parameters.
        log_p: `(dataset,)`, the exact one.
        sigma: `(dataset,)`, the true σ by which data sets are put into tenths.
    """
    gap = log_p - log_q
    tenths = np.array_split(gap[np.argsort(sigma, kind="stable")], 10)
    return Divergence(
        mean=float(gap.mean()),
        standard_error=float(gap.std(ddof=1) / np.sqrt(len(gap))),
        median=float(np.median(gap)),
        high=float(np.quantile(gap, 0.95)),
        deciles=tuple(float(tenth.mean()) for tenth in tenths),
    )
