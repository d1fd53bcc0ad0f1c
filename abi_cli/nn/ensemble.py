"""An ensemble: several networks of one kind, trained together, mixed in equal parts

    q(θ | c) = (1 / k) Σ_i q_i(θ | c)

Each is trained on its own loss, so they differ by their first weights alone (Lakshminarayanan et
al. 2017, arXiv:1612.01474); a mixture is wider than its members where they disagree, which is where
a single network is too sure of itself (Hermans et al. 2022, arXiv:2110.06581).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from keras import ops

from abi_cli.nn.inference import InferenceLayer


class Ensemble(InferenceLayer):
    """Members `q_i` of the same dim; the last number of a draw's noise picks the member.

    Arguments:
        members: Built layers.
    """

    def __init__(self, *, members: Sequence[InferenceLayer]):
        super().__init__(dim=members[0].dim)
        self.members = list(members)
        self.noise_dim = members[0].noise_dim + 1
        self.training_noise = members[0].training_noise
        self.loss_is_density = members[0].loss_is_density
        self.has_density = members[0].has_density
        self.fuse_draws = members[0].fuse_draws
        self.adapts = members[0].adapts
        self.built = True

    def _log_probs(self, theta: Any, c: Any) -> Any:
        return ops.stack([member.log_prob(theta, c) for member in self.members], axis=-1)

    def adapt(self, theta: np.ndarray, c: np.ndarray) -> None:
        """Adapt each member by itself."""
        for member in self.members:
            member.adapt(theta, c)

    def objective(self, theta: Any, c: Any, noise: Any = None) -> Any:
        """The mean of the members' objectives, `(batch,)`."""
        each = [member.objective(theta, c, noise) for member in self.members]
        return ops.mean(ops.stack(each, axis=-1), axis=-1)

    def log_prob(self, theta: Any, c: Any) -> Any:
        """Log density of the mixture, `(batch,)`."""
        log_probs = self._log_probs(theta, c)
        return ops.logsumexp(log_probs, axis=-1) - math.log(len(self.members))

    def inverse(self, z: Any, c: Any) -> Any:
        """Draws of the member that each draw's noise picks, `(dataset, draw, dim)`."""
        return self._picked(z, [member.inverse(z[..., :-1], c) for member in self.members])

    def _picked(self, z: Any, drawn: Sequence[Any]) -> Any:
        """Draws of the member that the noise of each picks, `(dataset, draw, dim)`."""
        level = 0.5 * (1.0 + ops.erf(z[..., -1:] / math.sqrt(2.0))) * len(self.members)
        picked = drawn[0]
        for number, one in enumerate(drawn[1:], start=1):
            picked = ops.where(level >= number, one, picked)
        return picked

    def propose(self, z: Any, c: Any, width: Any) -> Any:
        """Draws of members, as `inverse` picks them, of bases `width` times as wide."""
        return self._picked(z, [member.propose(z[..., :-1], c, width) for member in self.members])

    def log_proposal(self, theta: Any, c: Any) -> Any:
        """Log density of what `propose` gives, `(dataset, draw)`."""
        each = [member.log_proposal(theta, c) for member in self.members]
        return ops.logsumexp(ops.stack(each, axis=-1), axis=-1) - math.log(len(self.members))

    def member_of(self, z: np.ndarray) -> np.ndarray:
        """The member that makes each draw, of noise `(…, noise_dim)`: 0, 1, …."""
        k = len(self.members)
        ends = [NormalDist().inv_cdf(number / k) for number in range(1, k)]
        return np.searchsorted(ends, z[..., -1], side="right")
