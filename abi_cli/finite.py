"""The check that draws, estimates and densities are finite, before any of them leaves."""

from __future__ import annotations

import numpy as np

from abi_cli.errors import Unanswerable


def refuse_not_finite(*values: np.ndarray, first: int = 0) -> None:
    """Refuse infinities and NaN among draws, estimates, densities and what they are made of.

    Arguments:
        values: Each `(dataset, …)`; beyond single precision, which is written, is infinite.
        first: The place of the first data set.

    Errors:
        Unanswerable: Some are not finite.
    """
    for value in values:
        with np.errstate(over="ignore"):
            finite = np.isfinite(value.astype(np.float32, copy=False))
        if not finite.all():
            rows = first + np.flatnonzero(~finite.reshape(len(value), -1).all(axis=1))
            raise Unanswerable(
                f"the posterior of data set {rows[0]} is not made of finite numbers",
                rows=tuple(rows.tolist()),
            )
