r"""Bayes factors, and whether the evidences that they are made of belong to two simulators.

If data y are drawn from model A, B = p_B(y) / p_A(y) has the mean 1. Its tail is heavy, however: no
sample shows it where the models are far apart. So what is tested is bounded. For every k > 0

    E_A[ B / (k + B) ] = E_B[ 1 / (k + B) ],

both being ∫ p_A p_B / (k p_A + p_B) dy. A term in y alone that one of two densities lacks, which
leaves its posterior as it is, breaks this; one that both lack leaves their factor as it is, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logsumexp

from abi_cli.refinement.weights import weigh

CERTAIN = 1e-5
"""Probability that right evidences are called wrong."""

AT = (0.25, 0.5, 0.75)
"""Values of k, as quantiles of all factors."""

FEWEST = 30
"""Fewest data sets of each model for a verdict."""


@dataclass(frozen=True)
class FactorTest:
    """The test of a Bayes factor on data sets of both models.

    Arguments:
        mean: Mean of the factor under the other model; 1 if both evidences are right.
        error: Its standard error, as far as the sample shows the tail.
        khat: k-hat of that tail; above 0.7 the mean says nothing.
        p: p-value of the bounded test; NaN where there are too few data sets.
        datasets: Number of data sets of the model that has fewer.
    """

    mean: float
    error: float
    khat: float
    p: float
    datasets: int


def factor_test(of_first: np.ndarray, of_second: np.ndarray) -> FactorTest:
    """Test the evidences of two models.

    Arguments:
        of_first, of_second: Log Bayes factors of the second for the first, `(dataset,)`, of data
            sets of the first, and of the second; NaN where one is not known.
    """
    from scipy import stats

    first, second = (x[np.isfinite(x)] for x in (of_first, of_second))
    number = min(len(first), len(second))
    if number < FEWEST:
        return FactorTest(np.nan, np.nan, np.nan, np.nan, number)
    log_mean = float(logsumexp(first)) - np.log(len(first))
    share = np.exp(first - first.max()).std() / np.exp(first - first.max()).mean()
    p = []
    for log_k in np.quantile(np.concatenate([first, second]), AT):
        a, b = np.exp(log_k / 2) * expit(first - log_k), np.exp(-log_k / 2) * expit(log_k - second)
        error = np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
        z = abs(a.mean() - b.mean()) / max(float(error), 1e-300)
        p.append(2 * float(stats.norm.sf(z)))
    return FactorTest(
        float(np.exp(log_mean)),
        float(np.exp(log_mean) * share / np.sqrt(len(first))),
        weigh(first).khat,
        min(1.0, len(AT) * min(p)),
        number,
    )
