"""The models of the panel, and which of them defaults were chosen on.

The split was committed before the first experiment. Models kept aside were looked at once, when the
defaults stood.
"""

CHOOSING = (
    "arma",
    "cauchy_line",
    "dose",
    "drift_diffusion",
    "intercepts",
    "local_level",
    "logistic",
    "psychometric",
    "quadratic",
    "zeros",
)
"""Models on which defaults were chosen."""

ASIDE = (
    "garch",
    "hidden_states",
    "mixture",
    "outbreak",
    "peak",
    "shares",
    "student",
    "ten",
    "wide_line",
)
"""Models kept aside meanwhile."""
