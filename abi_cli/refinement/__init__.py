"""Refinement: posteriors made exact where the likelihood's density is known.

Draws of the networks are candidates from a proposal r(θ) whose density is known. With the model's
joint density p(y, θ) each has the weight

    w = p(y, θ) / r(θ),    p(y) = E_r w,    E[f | y] = E_r[w f] / E_r w,

so that, as far as the weights' tail allows it, means over weighted candidates are those of the
exact posterior, whatever the networks have learned (Schmitt et al. 2024, arXiv:2409.04332). The
tail is judged by Pareto smoothing (`weights`). Where it is too heavy, short Markov chains start
from the candidates (`chains`).

    weights    log weights → k-hat, effective size, evidence; moments, draws
    chains     ensembles of Markov chains, given any log density
    student    a Student's t that is fitted to draws, as a proposal
    proposal   candidates of a run's networks, and their density
    joint      the model's density on the scale that the networks work on
    walking    what is left to do where these fail: better candidates, chains
    results    what is asked for, and what comes of it
    refining   all of it, for the data sets of a run
"""
