"""Pooled second moments of a set, as a chain of regressions.

Each feature of the members is regressed, within the set, on those before it:

    f_j = c_j + Σ_{i<j} B_ji f_i + e_j,    D_j = mean of e_j²,

and the pooled vector holds the means, the intercepts c, the coefficients B and log D. These are an
unconstrained parametrization of the set's mean and covariance, Σ⁻¹ = Tᵀ D⁻¹ T with T = I − B
(Pourahmadi 1999, Biometrika 86:677). Covariances and correlations hold the same information, but
where members almost lie on a line a correlation near 1 has lost, in float32, just what a sharp
posterior is made of. Residuals computed member by member (modified Gram–Schmidt on the centred
members) have not. Nothing in this is particular to regression models: it is the second-order
statistic of a set in well-conditioned coordinates.

What was tried, in mean KL from the exact posteriors of `specs/regression.yaml` at its budget:
coefficients on the residuals (LDLᵀ) instead of on the features 0.084, with intercepts and B 0.068;
two learned features joining the chain made either worse (0.112 and 0.082).
"""

from __future__ import annotations

from typing import Any

from keras import ops

FLOOR = 1e-10
"""Number added to D, in squared standardized units: residual sds below 1e-5 look alike."""


def statistics_of(features: int) -> int:
    """Number of statistics that `regressions` gives for so many features."""
    return 3 * features - 1 + features * (features - 1) // 2


def masked_mean(x: Any, mask: Any) -> Any:
    """Mean over the members of each set; zeros for an empty set.

    Arguments:
        x: `(batch, obs, dim)`, zero where masked.
        mask: `(batch, obs)`, 1 for members and 0 for padding.
    """
    return ops.einsum("bnd,bn->bd", x, mask) / ops.maximum(
        ops.sum(mask, axis=1, keepdims=True), 1.0
    )


def spreads_of(features: int) -> int:
    """Number of statistics that `spreads` gives for so many features."""
    return 2 * features


def spreads(features: Any, mask: Any) -> Any:
    """Means and log variances, `(batch, 2 k)`, of features `(batch, obs, k)`."""
    mean = masked_mean(features, mask)
    residual = (features - mean[:, None, :]) * mask[:, :, None]
    return ops.concatenate(
        [mean, ops.log(masked_mean(ops.square(residual), mask) + FLOOR)], axis=-1
    )


def regressions(features: Any, mask: Any) -> Any:
    """Means, log residual variances, coefficients and intercepts: `(batch, statistics)`.

    Arguments:
        features: `(batch, obs, k)`, roughly of unit scale.
        mask: `(batch, obs)`, 1 for members and 0 for padding.
    """
    k = features.shape[-1]
    mean = masked_mean(features, mask)
    size = ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    residual = (features - mean[:, None, :]) * mask[:, :, None]
    # Rows of T in e = T (f − mean), which starts as the identity.
    T = [ops.zeros_like(mean) + ops.eye(k)[j] for j in range(k)]
    pooled = [mean]
    for i in range(k):
        e, later = residual[:, :, :1], residual[:, :, 1:]
        variance = ops.sum(ops.square(e), axis=1) / size + FLOOR
        pooled.append(ops.log(variance))
        slope = ops.sum(e * later, axis=1) / (size * variance)
        residual = later - e * slope[:, None, :]
        for j in range(i + 1, k):
            T[j] = T[j] - slope[:, j - i - 1, None] * T[i]
    for j in range(1, k):
        pooled += [-T[j][:, :j], ops.sum(T[j] * mean, axis=1, keepdims=True)]
    return ops.concatenate(pooled, axis=-1)
