
import numpy as np

def members(mu, sigma, N, rng):
    return {"x": rng.normal(mu, sigma, N)}

def steps(mu, sigma, N, rng):
    return {"x": rng.normal(mu, sigma, N).cumsum()}

def signal(mu, sigma, rng):
    return {"x": mu + rng.normal(0, sigma, 5).cumsum()}

def trials_and_scores(mu, sigma, N, rng):
    return {"trials": rng.normal(mu, sigma, N), "scores": rng.normal(mu, 1, 3)}

def choices(mu, sigma, N, rng):
    choice = rng.integers(0, 2, N)
    return {"y": rng.normal(mu * choice, sigma), "choice": choice}
