"""Flow matching: the straight path from data to noise, learned as a field of velocities.

Lipman et al. 2022, arXiv:2210.02747; for posteriors Wildberger et al. 2023, arXiv:2305.17161. How
the path becomes an angle, and the velocity F, is written in `nn.free_form`.
"""

from __future__ import annotations

from typing import Any, Literal

import keras
from keras import ops

from abi_cli.nn.free_form import FreeForm, normal_score, uniform_share
from abi_cli.nn.transport import paired

Times = Literal["uniform", "logit_normal"]

LOGIT_MEAN, LOGIT_SD = -1.0, 1.2


@keras.saving.register_keras_serializable("abi")
class FlowMatching(FreeForm):
    """F learned at times t of the straight path (1 − t) x + t z.

    Arguments:
        times: Uniform in (0, 1), or with a normal logit of `LOGIT_MEAN` and `LOGIT_SD` (Esser et
            al. 2024, arXiv:2403.03206).
        optimal_transport: Whether noise and parameters of a batch are paired by `nn.transport`.
    """

    def __init__(self, *, times: Times, optimal_transport: bool, **free_form: Any):
        super().__init__(**free_form)
        self.times: Times = times
        self.optimal_transport = optimal_transport
        if optimal_transport:
            self.training_noise += self.repeats

    def angle(self, share: Any) -> Any:
        """φ with tan φ = t / (1 − t)."""
        if self.times == "uniform":
            return ops.arctan2(share, 1.0 - share)
        return ops.arctan(ops.exp(LOGIT_MEAN + LOGIT_SD * normal_score(share)))

    def pairs(self, theta: Any, noise: Any, c: Any) -> tuple[Any, Any, Any]:
        """As in `FreeForm`, where wanted with noise that is near."""
        if not self.optimal_transport:
            return super().pairs(theta, noise, c)
        phi, x, z = super().pairs(theta, noise[:, self.repeats :], c)
        share = ops.transpose(uniform_share(noise[:, : self.repeats]))
        near = paired(theta, ops.transpose(z, (1, 0, 2)), c, share)
        return phi, x, ops.stop_gradient(ops.transpose(near, (1, 0, 2)))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            **super().get_config(),
            "times": self.times,
            "optimal_transport": self.optimal_transport,
        }
