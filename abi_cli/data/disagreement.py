"""Disagreement of the members of an ensemble: a reason not to believe a posterior.

A mixture of k posteriors in equal parts, with means mᵢ and variances sᵢ², has by the law of total
variance

    Var(θ) = W + B,    W = (1/k) Σᵢ sᵢ²,    B = (1/k) Σᵢ (mᵢ − m)²,    m = (1/k) Σᵢ mᵢ.

The *disagreement* is B / (W + B), the share of the variance that lies between members. All of them
have learned the same posterior, so it is near 0 where they have learned it well. It is large where
they have not: data unlike the simulations, or too little training. That they agree proves nothing:
all may be wrong alike.

From draws, of which member i made nᵢ, B is estimated without the part that is due to their number,

    B = (1/k) Σᵢ (mᵢ − m)² − (1 − 1/k) (1/k) Σᵢ sᵢ² / nᵢ,    not below 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from abi_cli.variables import DrawBlock, element_names

LARGE = 0.1
"""The disagreement from which on posteriors are reported: their sd is 5 % above a typical member's.

Four coupling flows of `specs/regression.yaml`, trained for 1,280 steps: of 300 data sets like the
simulations none reached 0.04 (median 0.000); of 200 with Cauchy noise a tenth were beyond 0.17, and
of 200 with coefficients twenty prior sds off nine tenths were beyond 0.3.

Four coupling flows of `specs/regression.yaml`, trained for 1,280 steps: of 300 data sets like the
simulations none reached 0.04 (median 0.000); of 200 with Cauchy noise a tenth were beyond 0.17, and
of 200 with coefficients twenty prior sds off nine tenths were beyond 0.3.
"""

FEW = 20
"""Draws of a member below which chance alone may look like disagreement."""

_NAMED = 5


@dataclass
class _Moments:
    """Moments of the draws of some data sets, by member of the ensemble.

    `size` is `(dataset, member)`, the others are `(dataset, member, element)`; `squares` are sums
    of squared deviations from the mean.
    """

    first: int
    size: np.ndarray
    mean: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, first: int, values: np.ndarray, member: np.ndarray, members: int) -> _Moments:
        """The moments of `values (dataset, draw, element)`, made by `member (dataset, draw)`."""
        one_hot = (member[..., None] == np.arange(members)).astype(np.float64)
        size = one_hot.sum(axis=1)
        some = np.maximum(size, 1)[..., None]
        shift = values[:, :1]
        total = np.einsum("dsm,dse->dme", one_hot, values - shift)
        squares = np.einsum("dsm,dse->dme", one_hot, (values - shift) ** 2)
        return cls(first, size, shift + total / some, squares - total**2 / some)

    def joined(self, more: _Moments) -> _Moments:
        """The moments with more draws of the same data sets (Chan, Golub & LeVeque 1979)."""
        size = self.size + more.size
        share = (more.size / np.maximum(size, 1))[..., None]
        gap = more.mean - self.mean
        squares = self.squares + more.squares + gap**2 * share * self.size[..., None]
        return _Moments(self.first, size, self.mean + gap * share, squares)

    def shares(self) -> np.ndarray:
        """The share of variance between members, `(dataset, element)`; NaN of too few draws."""
        size = self.size[..., None]
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = np.where(size >= FEW, self.squares / (size - 1), np.nan)
            by_chance = (variance / size).mean(axis=1) * (1 - 1 / size.shape[1])
            between = np.maximum(self.mean.var(axis=1) - by_chance, 0)
            share: np.ndarray = between / (variance.mean(axis=1) + between)
        return share


def disagreement_note(shares: Mapping[str, np.ndarray], labels: Sequence[str]) -> str | None:
    """A sentence on data sets with large disagreement; None where there is none.

    Arguments:
        shares: Name of a scalar → `(dataset,)`; empty without an ensemble.
        labels: Labels of the data sets.
    """
    if not shares:
        return None
    worst = {name: np.nan_to_num(share) for name, share in shares.items()}
    most = np.max(list(worst.values()), axis=0)
    at = np.flatnonzero(most >= LARGE)
    if not len(at):
        return None
    named = ", ".join(labels[i] for i in at[:_NAMED]) + (", …" if len(at) > _NAMED else "")
    element = max(worst, key=lambda name: float(worst[name].max()))
    return (
        f"the members of the ensemble disagree on {len(at):,} of {len(most):,} data sets "
        f"({named}): up to {most.max():.0%} of the posterior variance of {element} is between them"
    )


class Disagreement:
    """A watcher of draws that go by, which measures the disagreement of an ensemble's members.

    Arguments:
        members: Number of members; fewer than two make no ensemble.
    """

    def __init__(self, members: int):
        self._members = members
        self._names: list[str] = []
        self._parts: list[_Moments] = []

    def add(self, block: DrawBlock) -> None:
        """Take the next block into account."""
        if block.member is None or self._members < 2:
            return
        items = block.values.items()
        self._names = [name for key, v in items for name in element_names(key, v.shape[2:])]
        flat = [value.reshape(*value.shape[:2], -1) for value in block.values.values()]
        values = np.concatenate(flat, axis=-1).astype(np.float64)
        part = _Moments.of(block.first_dataset, values, block.member, self._members)
        if self._parts and self._parts[-1].first == part.first:
            self._parts[-1] = self._parts[-1].joined(part)
        else:
            self._parts.append(part)

    def watching(self, blocks: Iterable[DrawBlock]) -> Iterator[DrawBlock]:
        """The same blocks, each taken into account as it goes by."""
        for block in blocks:
            self.add(block)
            yield block

    def shares(self) -> dict[str, np.ndarray]:
        """The disagreement by name of a scalar, `(dataset,)`; empty without an ensemble.

        It is NaN where a member has made fewer than `FEW` draws.
        """
        if not self._parts:
            return {}
        shares = np.concatenate([part.shares() for part in self._parts])
        return dict(zip(self._names, shares.T, strict=True))
