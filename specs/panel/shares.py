"""Votes for four lists in several districts, which vary about common shares."""

import numpy as np
from scipy.special import gammaln


def likelihood(p, spread, N, rng):
    local = rng.dirichlet(p / spread, size=N)
    return {"votes": np.stack([rng.multinomial(60, one / one.sum()) for one in local])}


def log_likelihood(p, spread, votes, batch_size):
    a = (p / np.reshape(spread, (-1, 1)))[:, None, :]
    votes = np.asarray(votes, dtype=float)
    total = a.sum(axis=-1)
    log_p = gammaln(total) - gammaln(total + 60) + gammaln(61)
    return log_p + np.sum(gammaln(a + votes) - gammaln(a) - gammaln(votes + 1), axis=-1)
