"""The support of a variable: where its values can be, as far as its declaration says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Support:
    """The values that a variable can take, element by element.

    Arguments:
        lower, upper: Every element is between them, whatever the other variables are; None where
            there is no such bound. A bound itself has probability zero, unless `discrete`.
        kind: "simplex" where the elements of the last axis are positive and sum to one: then lower
            and upper are 0 and 1; "ordered" where they ascend.
        heavy: Whether the tail falls more slowly than an exponential, so that values of very
            different size occur.
        discrete: Whether the values are whole numbers, or from a list.
    """

    lower: float | None
    upper: float | None
    kind: Literal["real", "simplex", "ordered"] = "real"
    heavy: bool = False
    discrete: bool = False
