"""A peak on a sloping background: a spectrum of 64 channels."""

import numpy as np

CHANNELS = np.linspace(0, 1, 64)


def spectrum(place, height, width, base, slope):
    place, height, width, base, slope = (
        np.reshape(p, (-1, 1)) for p in (place, height, width, base, slope)
    )
    peak = height * np.exp(-0.5 * ((CHANNELS - place) / width) ** 2)
    return peak + base + slope * CHANNELS


def likelihood(place, height, width, base, slope, batch_size, rng):
    return {"y": rng.normal(spectrum(place, height, width, base, slope), 0.5)}


def log_likelihood(place, height, width, base, slope, y, batch_size):
    z = (y - spectrum(place, height, width, base, slope)) / 0.5
    return -0.5 * z**2 - np.log(0.5) - 0.5 * np.log(2 * np.pi)
