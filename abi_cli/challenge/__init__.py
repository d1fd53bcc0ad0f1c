"""Rivals of a run: networks that learn from the same simulator and know more than the run has.

What the densities of a rival say of held-out truths proves a loss: whatever q' is,

    E log q'(θ | y) − E log q(θ | y) = E KL(p ‖ q) − E KL(p ‖ q') ≤ E KL(p ‖ q),

so that a run loses at least what a rival gains on data sets that it has not learned from. Two learn
(`challenger`): one from scratch, with attention and every family of statistics (`means`), and one
that starts as the run itself and is told what the first has learned to tell (`heir`).
"""

from abi_cli.challenge.challenger import Challenged, Challenger, Rules, challenge

__all__ = ["Challenged", "Challenger", "Rules", "challenge"]
