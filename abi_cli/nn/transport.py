"""Pairs of noise and parameters in a batch, of small total cost.

Flow matching is free to choose the joint distribution of data x and noise z as long as both
marginals stay. Where near ones are paired, paths cross less and are straighter (Tong et al. 2023,
arXiv:2302.00482; Pooladian et al. 2023, arXiv:2304.14772). Posteriors ask for more: given its
conditions noise has to stay N(0, I), or draws would be of something else. So a pair also costs what
the conditions of the two data sets differ (Kerrigan et al. 2024, arXiv:2404.04240; Cheng & Schwing
2025, arXiv:2503.10636),

    C_ij = |xᵢ − zⱼ|² / dim + |cᵢ − cⱼ|² / (conditions · `CONDITION_RATIO`),

where conditions are in units of their standard deviations in the batch, and zⱼ was drawn for data
set j. Entropic plans (Cuturi 2013, arXiv:1306.0895), from which a partner is drawn for each i.
"""

from __future__ import annotations

from typing import Any

from keras import ops

CONDITION_RATIO = 0.01
REGULARIZATION = 0.05
"""Weight of the plan's entropy, in units of the mean cost of x and z."""

ITERATIONS = 30


def paired(x: Any, z: Any, c: Any, share: Any) -> Any:
    """Noise `z (repeat, row, dim)`, reordered to go with each `x (row, dim)` in each repeat.

    Arguments:
        c: Conditions, `(row, conditions)`.
        share: Uniform in (0, 1), `(repeat, row)`: which of its partners each takes.
    """
    if c.shape[-1]:
        mean, sd = ops.mean(c, axis=0), ops.std(c, axis=0)
        rounding = 1e-6 * ops.maximum(ops.abs(mean), 1.0)  # must not count as a difference
        c = ops.where(sd > rounding, (c - mean) / ops.maximum(sd, rounding), 0.0)
        apart = _square_distances(c, c) / c.shape[-1]
    else:
        apart = ops.zeros_like(x[:, :1] * x[None, :, 0])
    cost = _square_distances(x, z) / x.shape[-1] + apart / CONDITION_RATIO
    plan = _plan(cost / (REGULARIZATION * 2.0))
    reached = ops.cumsum(plan, axis=-1) < share[..., None]
    partner = ops.minimum(ops.sum(ops.cast(reached, "int32"), axis=-1), x.shape[0] - 1)
    return ops.take_along_axis(z, partner[..., None], axis=1)


def _square_distances(one: Any, other: Any) -> Any:
    """Squared distances `(…, row, row)` of `(row, dim)` and `(…, row, dim)`."""
    squares = ops.sum(ops.square(one), -1)[:, None] + ops.sum(ops.square(other), -1)[..., None, :]
    products = ops.matmul(one, ops.swapaxes(other, -1, -2))
    return ops.maximum(squares - 2.0 * products, 0.0)


def _plan(cost: Any) -> Any:
    """Row-stochastic exp(f + g − cost) of nearly uniform columns, by Sinkhorn's iterations."""

    def body(_number: Any, g: Any) -> Any:
        f = -ops.logsumexp(g[..., None, :] - cost, axis=-1)
        return -ops.logsumexp(f[..., :, None] - cost, axis=-2)

    g = ops.fori_loop(0, ITERATIONS, body, ops.zeros_like(cost[..., 0, :]))
    held = g[..., None, :] - cost
    return ops.exp(held - ops.logsumexp(held, axis=-1, keepdims=True))
