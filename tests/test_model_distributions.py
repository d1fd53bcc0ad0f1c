"""Laws of every distribution that a spec can declare."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from abi_cli import registry
from tests.distribution_examples import COVARIANCE, EXAMPLES, Example

ROWS = 20_000
CASES = [
    pytest.param(name, example, id=f"{name} {example.options}")
    for name, examples in EXAMPLES.items()
    for example in examples
]
VECTORS = ("dirichlet", "multivariate_normal")


def made(name, **options):
    return registry.get("distribution", name)(**options)


def rows(distribution, values=None, count=ROWS):
    return distribution.sample_rows(np.random.default_rng(1), values or {}, count)


def test_every_distribution_has_an_example():
    assert set(EXAMPLES) == set(registry.names("distribution"))


@pytest.mark.parametrize(("name", "example"), CASES)
def test_the_density_is_scipys(name: str, example: Example):
    draws = rows(made(name, **example.options), count=200)
    found = made(name, **example.options).log_density(draws, {})
    exact = example.exact
    log_p = exact.logpmf if example.mass else exact.logpdf
    expected = log_p(draws.T if name == "dirichlet" else draws)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "example"), CASES)
@pytest.mark.parametrize("form", ["one by one", "together"])
def test_draws_have_the_law(name: str, example: Example, form: str):
    distribution = made(name, **example.options)
    draws = rows(distribution)
    if form == "one by one":
        rng = np.random.default_rng(2)
        draws = np.array([distribution.sample(rng, {}) for _ in range(2000)])
    if name in VECTORS:
        exact = example.exact.rvs(20_000, random_state=3)
        pairs = zip(draws.T, exact.T, strict=True)
        ps = [stats.ks_2samp(one, other).pvalue for one, other in pairs]
    elif example.mass:
        values, counts = np.unique(draws, return_counts=True)
        expected = np.exp(example.exact.logpmf(values)) * len(draws)
        often = expected > 10
        rest = len(draws) - np.array([counts[often].sum(), expected[often].sum()])
        found = np.append(counts[often], rest[0])
        expected = np.append(expected[often], max(rest[1], 1e-9))
        kept = expected > 1
        found, expected = found[kept], expected[kept]
        ps = [stats.chisquare(found, expected * found.sum() / expected.sum()).pvalue]
    else:
        ps = [stats.kstest(draws, example.exact.cdf).pvalue]
    assert min(ps) > 1e-4


@pytest.mark.parametrize(("name", "example"), CASES)
def test_moments_are_scipys_where_they_exist(name: str, example: Example):
    distribution = made(name, **example.options)
    mean, sd = distribution.moments(distribution._known())
    if name in VECTORS:
        cov = example.exact.cov() if callable(example.exact.cov) else example.exact.cov
        exact = example.exact.mean() if callable(example.exact.mean) else example.exact.mean
        np.testing.assert_allclose(mean, exact)
        np.testing.assert_allclose(sd, np.sqrt(np.diagonal(cov)))
        return
    for found, expected in ((mean, example.exact.mean()), (sd, example.exact.std())):
        if np.isfinite(expected):
            assert np.asarray(found) == pytest.approx(expected, rel=1e-6)
        else:
            assert not np.isfinite(found)


@pytest.mark.parametrize(("name", "example"), CASES)
def test_all_draws_are_inside_the_support(name: str, example: Example):
    distribution = made(name, **example.options)
    support, draws = distribution.support(), rows(distribution)
    low = -np.inf if support.lower is None else support.lower
    high = np.inf if support.upper is None else support.upper
    if support.discrete:
        assert not ((draws < low) | (draws > high)).any()
    else:
        assert not ((draws <= low) | (draws >= high)).any()
    if support.kind == "simplex":
        np.testing.assert_allclose(draws.sum(axis=-1), 1)


@pytest.mark.parametrize(("name", "example"), CASES)
def test_outside_the_support_the_density_is_zero(name: str, example: Example):
    distribution = made(name, **example.options)
    low, high = (np.max(b) for b in distribution.bounds(distribution._known()))
    draws = rows(distribution, count=1)
    for outside in (low - 1, high + 1):
        if np.isfinite(outside):
            assert distribution.log_density(np.full_like(draws, outside), {}) == -np.inf
    if distribution.discrete:
        assert distribution.log_density(draws + 0.5, {}) == -np.inf


@pytest.mark.parametrize(("name", "example"), CASES)
def test_it_survives_a_process_border_and_a_file(name: str, example: Example):
    distribution = made(name, **example.options)
    assert pickle.loads(pickle.dumps(distribution)) == distribution  # noqa: S301
    assert registry.from_config("distribution", distribution.to_config()) == distribution


def number_option(name):
    """The first option of an example that is a single number, if there is one."""
    options = EXAMPLES[name][0].options
    return next((o for o, value in options.items() if not isinstance(value, tuple)), None)


@pytest.mark.parametrize("name", sorted(name for name in EXAMPLES if number_option(name)))
def test_options_can_be_other_variables(name: str):
    """Each row has its own value of the option, in draws and in densities."""
    example, option = EXAMPLES[name][0], number_option(name)
    named = made(name, **{**example.options, option: "other"})
    assert named.references() == {option: "other"}
    value = example.options[option]
    values = {"other": np.array([value, value + 1] * 5)}
    draws = named.sample_rows(np.random.default_rng(4), values, 10)
    rng = np.random.default_rng(4)
    found = named.log_density(draws, values)
    for row in range(10):
        alone = made(name, **{**example.options, option: values["other"][row].item()})
        assert found[row] == pytest.approx(alone.log_density(draws[row : row + 1], {})[0])
    assert np.isfinite(named.sample(rng, {"other": value}))
    with pytest.raises(KeyError):
        named.sample(rng, {})


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"size": 3}, (3,)),
        ({"size": (2, 3)}, (2, 3)),
        ({"loc": (0.0, 5.0)}, (2,)),
        ({"loc": (0.0, 5.0), "size": (4, 2)}, (4, 2)),
        ({"size": "J"}, (6,)),
    ],
)
def test_shapes_are_numpys(options, shape):
    distribution = made("normal", **options)
    values = {"J": np.array([6])}
    assert distribution.sample_rows(np.random.default_rng(1), values, 5).shape == (5, *shape)
    assert np.shape(distribution.sample(np.random.default_rng(1), {"J": 6})) == shape
    draws = distribution.sample_rows(np.random.default_rng(1), values, 5)
    assert distribution.log_density(draws, values).shape == (5,)


def test_vectors_of_vectors():
    distribution = made("dirichlet", alpha=(1.0, 2.0), size=3)
    draws = rows(distribution, count=4)
    assert draws.shape == (4, 3, 2)
    exact = stats.dirichlet((1, 2))
    expected = [sum(exact.logpdf(vector) for vector in row) for row in draws]
    np.testing.assert_allclose(distribution.log_density(draws, {}), expected)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("normal", {"scale": 0}, "above 0"),
        ("normal", {"scale": (1.0, -1.0)}, "above 0"),
        ("normal", {"loc": float("nan")}, "a number"),
        ("normal", {"loc": True}, "true"),
        ("normal", {"loc": (1.0, (2.0, 3.0))}, "another mixture"),
        ("normal", {"loc": (1.0, 2.0, 3.0), "scale": (1.0, 2.0)}, "one shape"),
        ("normal", {"loc": (1.0, 2.0), "size": 3}, "fits the options"),
        ("normal", {"size": 0}, "above 0"),
        ("normal", {"size": 2.5}, "whole number"),
        ("uniform", {"low": 1.0, "high": 1.0}, "low below high"),
        ("loguniform", {"low": 0, "high": 1.0}, "above 0"),
        ("integers", {"low": 5, "high": 5}, "low below high"),
        ("integers", {"low": 5, "high": 7.5}, "whole number"),
        ("binomial", {"n": 5, "p": 1.5}, "from 0 to 1"),
        ("choice", {"a": (1, 2), "p": (0.5, 0.6)}, "sum to one"),
        ("choice", {"a": (1, 2), "p": (0.5, 0.4, 0.1)}, "Expected 2"),
        ("dirichlet", {"alpha": (1.0,)}, "two numbers"),
        ("dirichlet", {"alpha": 1.0}, "a list"),
        ("multivariate_normal", {"mean": (0.0, 0.0), "cov": ((1.0, 2.0), (2.0, 1.0))}, "definite"),
        ("multivariate_normal", {"mean": (0.0,), "cov": COVARIANCE}, "as many"),
        ("multivariate_normal", {"mean": (0.0, 0.0), "cov": ((1.0, 0.5), (0.1, 1.0))}, "symmetric"),
        ("truncated_normal", {"low": 2.0, "high": 1.0}, "low below high"),
    ],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(name, options, said):
    with pytest.raises(ValidationError, match=said):
        made(name, **options)


def test_what_is_meant_is_said():
    assert made("gamma", shape=1.0).meaning() == "gamma: mean 1, sd 1"
    assert made("integers", low=5, high=15).meaning() == "integers: 5..14"
    assert made("normal", loc=(2.0, 0.0), scale=(3.0, 1.0)).meaning() == (
        "normal: mean [2, 0], sd [3, 1]"
    )
    assert made("normal", loc="mu").meaning() == "normal: loc mu, scale 1"
    assert made("half_cauchy", scale=2.0).meaning() == "half_cauchy: scale 2"


def test_what_draws_and_what_is_shown_needs_no_scipy_stats():
    """It takes half a second to import: it is for densities."""
    code = (
        "import sys, numpy as np\n"
        "from abi_cli.registry import from_config\n"
        f"for name, options in {[(name, e[0].options) for name, e in EXAMPLES.items()]!r}:\n"
        "    made = from_config('distribution', {name: options})\n"
        "    made.meaning(), made.support()\n"
        "    made.sample_rows(np.random.default_rng(1), {}, 3)\n"
        "print('scipy.stats' in sys.modules)\n"
        "from_config('distribution', {'normal': {}}).log_density(np.zeros(1), {})\n"
        "print('scipy.stats' in sys.modules)\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "True"]
