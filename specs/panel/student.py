"""Numbers with heavy tails: Student's t with unknown degrees of freedom."""

import numpy as np
from scipy.special import gammaln


def likelihood(loc, scale, dof, N, batch_size, rng):
    t = rng.standard_t(dof[:, None], size=(batch_size, N))
    return {"y": loc[:, None] + scale[:, None] * t}


def log_likelihood(loc, scale, dof, y, batch_size):
    loc, scale, dof = (np.reshape(p, (-1, 1)) for p in (loc, scale, dof))
    log_p = gammaln((dof + 1) / 2) - gammaln(dof / 2) - 0.5 * np.log(np.pi * dof) - np.log(scale)
    return log_p - (dof + 1) / 2 * np.log1p(((y - loc) / scale) ** 2 / dof)
