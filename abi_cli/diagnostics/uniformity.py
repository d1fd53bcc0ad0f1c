r"""Are ranks uniform? Three tests that see three different faults, and how large the faults are.

If posteriors are exact, the probability integral transforms u of the true values are independent
and uniform, and their *normal scores* z = Φ⁻¹(u) are standard normal (Cook, Gelman & Rubin 2006;
Talts et al. 2018, arXiv 1804.06788). If a posterior is normal with its mean off by δ exact sds and
its sd off by the factor r, then z ~ N(−δ / r, 1 / r²). Hence

- location: the mean of z is N(0, 1/n); it is far from 0 where posteriors lie too low or too high;
- spread: Σ(z − z̄)² is χ² with n − 1 degrees of freedom, independent of the mean; 1 / sd(z)
  estimates r, above 1 where posteriors are too wide;
- shape: Anderson and Darling's A² on u sees what is left, in the tails above all.

What a wrong shape is, Legendre polynomials of 2u − 1 tell, which are uncorrelated and of mean 0 for
uniform u (Neyman 1937, "Smooth test" for goodness of fit, Skandinavisk Aktuarietidskrift 20): the
third one is a longer tail to one side, the fourth heavier tails beside a sharper middle, or, where
it is negative, two modes.

Three tests and the size of two faults, rather than one p-value, let a reader tell "detectable" from
"matters", and a verdict rest on both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

INTERVAL = 0.90
"""Level of the intervals of sizes: two one-sided tests at 5 % make an interval of 90 %."""


@dataclass(frozen=True)
class Uniformity:
    """The distance of the ranks of one element from uniform ones.

    Arguments:
        mean_score: Mean normal score of the true values; positive where posteriors lie too low,
            in units of the posterior sd.
        mean_score_interval: Its interval, of 90 % if not asked otherwise.
        sd_ratio: Posterior sd ÷ exact posterior sd, as far as ranks tell.
        sd_ratio_interval: Its interval, of the same level.
        mean_square: Mean square of the normal scores; 1 for exact posteriors.
        p_location, p_spread, p_shape: p-values of the three tests.
        skew_score: Third Legendre polynomial, in standard errors; positive where posteriors have a
            longer tail to the right than is drawn.
        tail_score: The fourth one; positive where they have heavier tails and a sharper middle,
            negative where they have two modes, or are flat.
        number: Number of ranks.
    """

    mean_score: float
    mean_score_interval: tuple[float, float]
    sd_ratio: float
    sd_ratio_interval: tuple[float, float]
    mean_square: float
    p_location: float
    p_spread: float
    p_shape: float
    skew_score: float = 0.0
    tail_score: float = 0.0
    number: int = 1

    @property
    def p(self) -> float:
        """One p-value for the three tests: Bonferroni's, 3 × the smallest."""
        return min(1.0, 3 * min(self.p_location, self.p_spread, self.p_shape))


def uniformity(pit: np.ndarray, *, interval: float = INTERVAL) -> Uniformity:
    """The uniformity of `pit (dataset,)`, within (0, 1): three tests, and the sizes of two faults.

    Arguments:
        interval: Level of the intervals of sizes.
    """
    n = len(pit)
    z = special.ndtri(pit)
    mean, sd = float(z.mean()), float(z.std(ddof=1))
    tail = (1 - interval) / 2

    half = float(special.stdtrit(n - 1, 1 - tail) * sd / np.sqrt(n))
    square = (n - 1) * sd**2
    # chdtri gives the value that is exceeded with the stated probability
    narrowest, widest = np.sqrt(special.chdtri(n - 1, [1 - tail, tail]) / square)

    below, above = special.chdtr(n - 1, square), special.chdtrc(n - 1, square)
    return Uniformity(
        mean_score=mean,
        mean_score_interval=(mean - half, mean + half),
        sd_ratio=1 / sd,
        sd_ratio_interval=(float(narrowest), float(widest)),
        mean_square=float(np.mean(z**2)),
        p_location=float(2 * special.ndtr(-abs(mean) * np.sqrt(n))),
        p_spread=float(min(1.0, 2 * min(below, above))),
        p_shape=anderson_darling_sf(anderson_darling(pit)),
        skew_score=_legendre(pit, 3),
        tail_score=_legendre(pit, 4),
        number=n,
    )


def _legendre(pit: np.ndarray, degree: int) -> float:
    """The sum of a Legendre polynomial of 2u − 1, in standard errors of uniform u."""
    values = special.eval_legendre(degree, 2 * pit - 1)
    return float(values.mean() * np.sqrt((2 * degree + 1) * len(pit)))


def anderson_darling(pit: np.ndarray) -> float:
    r"""Anderson and Darling's distance of `pit (dataset,)` from uniform.

    A² = −n − (1/n) Σᵢ (2i − 1) [log u₍ᵢ₎ + log(1 − u₍ₙ₊₁₋ᵢ₎)]

    References:
        Anderson & Darling (1954), A test of goodness of fit, JASA 49.
    """
    u = np.sort(pit)
    n = len(u)
    weight = 2 * np.arange(1, n + 1) - 1
    return float(-n - np.mean(weight * (np.log(u) + np.log1p(-u[::-1]))))


def anderson_darling_sf(statistic: float) -> float:
    r"""P(A² > statistic) under uniformity, in the limit of many values.

    The limit is reached quickly: at 20 values it is right to about 1 % of p. In the body,

    F(a) = √(2π)/a · Σⱼ (−½ choose j) (4j + 1) ∫₀^∞ exp(a / (8(w² + 1)) − c² (w² + 1)) dw,
    c = (4j + 1) π / √(8a).

    A² is distributed as Σⱼ χ²₁ / (j(j + 1)), whose largest term governs the far tail:
    P(A² > a) → √3 · P(χ²₁ > 2a), with √3 = Πⱼ₌₂ (1 − 2/(j(j + 1)))^(−1/2). It takes over before
    1 − F loses its digits.

    References:
        Anderson & Darling (1952), Asymptotic theory of certain "goodness of fit" criteria based on
        stochastic processes, Annals of Mathematical Statistics 23.
    """
    a = statistic
    if a < 0.05:  # F is below 1e-9 there
        return 1.0
    if a > 12:
        return float(np.sqrt(3) * special.chdtrc(1, 2 * a))
    j = np.arange(12)[:, None]
    c = (4 * j + 1) * np.pi / np.sqrt(8 * a)
    # The integrand is even, smooth and dies like a Gaussian: the trapezoid rule is exact to
    # rounding. s = c w makes its width the same for every j.
    s = np.linspace(0, 8, 401)
    w = s / c
    integrand = np.exp(a / (8 * (w**2 + 1)) - c**2 - s**2)
    integral = np.trapezoid(integrand, s, axis=1)[:, None] / c
    terms = special.binom(-0.5, j) * (4 * j + 1) * integral
    return float(np.clip(1 - np.sqrt(2 * np.pi) / a * terms.sum(), 0.0, 1.0))
