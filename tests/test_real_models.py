"""Refined posteriors of real data, beside exact ones, after trainings of a few seconds.

Eight schools (Rubin 1981) by quadrature. The others (`make soak`) beside differential evolution
chains by independent code: a boarding school's influenza (BMJ 1978), cars (Motor Trend 1974), the
Nile (Cobb 1978).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli import abi

PANEL = Path(__file__).parents[1] / "specs" / "panel"

EFFECTS = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
ERRORS = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])

SCHOOLS = """
import numpy as np

def likelihood(mu, tau, se, J, rng):
    return {"y": rng.normal(rng.normal(mu, tau, size=J), se)}

def log_likelihood(mu, tau, se, y, batch_size):
    v = tau[:, None] ** 2 + se**2
    return -0.5 * (y - mu[:, None]) ** 2 / v - 0.5 * np.log(2 * np.pi * v)
"""

SCHOOLS_SPEC = """
name: schools
model:
  meta: {J: {integers: {low: 3, high: 21}}}
  given: {se: {uniform: {low: 5, high: 20, size: J}}}
  prior: {mu: {normal: {scale: 5}}, tau: {half_cauchy: {scale: 5}}}
  likelihood: m.py:likelihood
  log_likelihood: m.py:log_likelihood
observables: {se: {kind: set}, y: {kind: set}}
training: {epochs: 1, num_batches: 48, batch_size: 32}
"""

INFLUENZA = """
import numpy as np
from scipy.special import gammaln

BOYS = 763

def infected(beta, gamma):
    def slope(s, i):
        new = beta * s * i / BOYS
        return -new, new - gamma * i

    s, i, h, days = BOYS - 1.0 + 0 * beta, 1.0 + 0 * beta, 0.1, []
    for _ in range(14):
        for _ in range(10):
            a, b = slope(s, i)
            c, d = slope(s + h / 2 * a, i + h / 2 * b)
            e, f = slope(s + h / 2 * c, i + h / 2 * d)
            g, k = slope(s + h * e, i + h * f)
            s, i = s + h / 6 * (a + 2 * c + 2 * e + g), i + h / 6 * (b + 2 * d + 2 * f + k)
        days.append(np.maximum(i, 1e-6))
    return np.stack(days, axis=-1)

def likelihood(beta, gamma, phi_inv, batch_size, rng):
    phi = 1 / phi_inv[:, None]
    return {"cases": rng.poisson(rng.gamma(phi, infected(beta, gamma) / phi))}

def log_likelihood(beta, gamma, phi_inv, cases, batch_size):
    mean, phi = infected(beta, gamma), 1 / phi_inv[:, None]
    choose = gammaln(cases + phi) - gammaln(phi) - gammaln(cases + 1.0)
    return choose - phi * np.log1p(mean / phi) - cases * np.log1p(phi / mean)
"""

INFLUENZA_SPEC = """
name: influenza
model:
  prior:
    beta: {truncated_normal: {loc: 2, scale: 1, low: 0}}
    gamma: {truncated_normal: {loc: 0.4, scale: 0.5, low: 0}}
    phi_inv: {exponential: {scale: 0.2}}
  likelihood: m.py:likelihood
  log_likelihood: m.py:log_likelihood
observables: {cases: {kind: series, time: day}}
"""

CASES = [3, 8, 26, 76, 225, 298, 258, 233, 189, 128, 68, 29, 14, 4]

CARS = {
    "wt": """
        2.62 2.875 2.32 3.215 3.44 3.46 3.57 3.19 3.15 3.44 3.44 4.07 3.73 3.78 5.25 5.424 5.345
        2.2 1.615 1.835 2.465 3.52 3.435 3.84 3.845 1.935 2.14 1.513 3.17 2.77 3.57 2.78
    """,
    "hp": """
        110 110 93 110 175 105 245 62 95 123 123 180 180 180 205 215 230 66 52 65 97 150 150 245
        175 66 91 113 264 175 335 109
    """,
    "qsec": """
        16.46 17.02 18.61 19.44 17.02 20.22 15.84 20 22.9 18.3 18.9 17.4 17.6 18 17.98 17.82
        17.42 19.47 18.52 19.9 20.01 16.87 17.3 15.41 17.05 18.9 16.7 16.9 14.5 15.5 14.6 18.6
    """,
    "am": """
        1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 1 0 0 0 0 0 1 1 1 1 1 1 1
    """,
}

FLOWS = """
    1120 1160 963 1210 1160 1160 813 1230 1370 1140 995 935 1110 994 1020 960 1180 799 958 1140
    1100 1210 1150 1250 1260 1220 1030 1100 774 840 874 694 940 833 701 916 692 1020 1050 969
    831 726 456 824 702 1120 1100 832 764 821 768 845 864 862 698 845 744 796 1040 759 781 865
    845 944 984 897 822 1010 771 676 649 846 812 742 801 1040 860 874 848 890 744 749 838 1050
    918 986 797 923 975 815 1020 906 901 1170 912 746 919 718 714 740
"""


def refined(folder, spec, rows, *options):
    """Mean and sd of each parameter by a run that was trained for a moment."""
    file = folder / "data.csv"
    file.write_text("\n".join(rows) + "\n")
    trained = abi("train", spec, "-o", folder / "run", "-q", "-j", 0, *options)
    assert trained.exit_code == 0, trained.output
    told = abi("sample", folder / "run", file, "--refine", "-n", 4000, "--json")
    assert told.exit_code == 0, told.output
    content = json.loads(told.stdout)
    assert content["refinement"][0]["by"] != "failed"
    return {row["parameter"]: row for row in content["rows"]}, content["refinement"][0]


def written(folder, code, spec):
    (folder / "m.py").write_text(code)
    (folder / "spec.yaml").write_text(spec)
    return folder / "spec.yaml"


def by_quadrature():
    """Mean and sd of mu and tau, the quantiles of tau, the log evidence."""
    mu, tau = np.linspace(-25, 35, 601)[:, None], (np.arange(40_000) + 0.5)[None] * 0.01
    log_p = -0.5 * (mu / 5) ** 2 - np.log(5 * np.sqrt(2 * np.pi))
    log_p = log_p + np.log(2 / (np.pi * 5)) - np.log1p((tau / 5) ** 2)
    for y, se in zip(EFFECTS, ERRORS, strict=True):
        v = tau**2 + se**2
        log_p = log_p - 0.5 * (y - mu) ** 2 / v - 0.5 * np.log(2 * np.pi * v)
    p = np.exp(log_p - log_p.max())
    evidence = np.log(p.sum() * 0.1 * 0.01) + log_p.max()
    p /= p.sum()
    found = []
    for values, own in ((mu.ravel(), p.sum(axis=1)), (tau.ravel(), p.sum(axis=0))):
        mean = own @ values
        found.append((mean, np.sqrt(own @ (values - mean) ** 2)))
    quantiles = np.interp((0.05, 0.5, 0.95), np.cumsum(p.sum(axis=0)), tau.ravel())
    return found, quantiles, evidence


def test_eight_schools(tmp_path):
    rows = ["y,se", *(f"{y},{se}" for y, se in zip(EFFECTS, ERRORS, strict=True))]
    found, told = refined(tmp_path, written(tmp_path, SCHOOLS, SCHOOLS_SPEC), rows)
    exact, quantiles, evidence = by_quadrature()
    error = 4 / np.sqrt(told["ess"])
    for name, (mean, sd) in zip(("mu", "tau"), exact, strict=True):
        assert abs(found[name]["mean"] - mean) < error * sd
        assert found[name]["sd"] == pytest.approx(sd, rel=3 * error)
    got = [found["tau"][name] for name in ("q5", "median", "q95")]
    np.testing.assert_allclose(got, quantiles, rtol=0.1, atol=0.05)
    assert abs(told["log_evidence"] - evidence) < 4 * told["log_evidence_error"]


def cars():
    columns = {name: np.array(text.split(), float) for name, text in CARS.items()}
    x = np.array([columns[name] for name in ("wt", "hp", "qsec")])
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    names = [*(f"x[{k}]" for k in range(3)), "y"]
    return [
        ",".join(names),
        *(",".join(map(repr, map(float, row))) for row in zip(*x, columns["am"], strict=True)),
    ]


REAL = {
    "influenza": (
        ["day,cases", *(f"{day + 1},{n}" for day, n in enumerate(CASES))],
        {"beta": (1.735, 0.0521), "gamma": (0.542, 0.0445), "phi_inv": (0.136, 0.0736)},
    ),
    "logistic": (
        cars(),
        {
            "beta[0]": (-1.38, 0.742),
            "beta[1]": (-5.09, 1.43),
            "beta[2]": (-0.21, 1.117),
            "beta[3]": (-2.40, 1.238),
        },
    ),
    "local_level": (
        ["year,flow", *(f"{1871 + k},{flow}" for k, flow in enumerate(FLOWS.split()))],
        {"mu0": (1096.3, 71.3), "s_eta": (40.6, 14.4), "s_eps": (123.2, 12.2)},
    ),
}


@pytest.mark.soak
@pytest.mark.parametrize("name", REAL)
def test_real_data(name, tmp_path):
    rows, exact = REAL[name]
    spec = PANEL / f"{name}.yaml"
    if name == "influenza":
        spec = written(tmp_path, INFLUENZA, INFLUENZA_SPEC)
    budget = "training.epochs=6", "training.num_batches=64"
    found, _ = refined(tmp_path, spec, rows, *(word for one in budget for word in ("-s", one)))
    for parameter, (mean, sd) in exact.items():
        assert abs(found[parameter]["mean"] - mean) < 0.1 * sd
        assert found[parameter]["sd"] == pytest.approx(sd, rel=0.05)
