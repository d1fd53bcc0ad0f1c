"""Laying parameters out as scalars, and the one pass over their draws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from abi_cli.diagnostics import element_labels, flatten, scalars
from abi_cli.errors import DataError, SpecError, UsageError
from tests.diagnostics_examples import posterior, read


def sample(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_elements_lie_side_by_side_without_a_copy():
    estimates = {"beta": sample(5, 7, 2), "sigma": sample(5, 7)}
    truths = {"beta": sample(5, 2), "sigma": sample(5)}
    flat = flatten(estimates, truths, labels={"beta": ["β"], "sigma": ["σ"]})
    assert flat.names == ("beta[0]", "beta[1]", "sigma")
    assert flat.labels == ("β₀", "β₁", "σ")
    np.testing.assert_array_equal(flat.draws[1], estimates["beta"][:, :, 1])
    np.testing.assert_array_equal(flat.truths[1], truths["beta"][:, 1])
    assert all(np.shares_memory(flat.draws[k], estimates["beta"]) for k in (0, 1))


@pytest.mark.parametrize(
    ("event", "labels", "expected"),
    [
        ((), [], ("theta",)),
        ((), ["θ"], ("θ",)),
        ((2,), [], ("theta[0]", "theta[1]")),
        ((2,), ["a", "b"], ("a", "b")),
        ((2,), ["θ"], ("θ₀", "θ₁")),
        ((1, 2), ["θ"], ("θ₀‚₀", "θ₀‚₁")),
    ],
)
def test_labels(event, labels, expected):
    assert element_labels("theta", event, labels) == expected


def test_a_wrong_number_of_labels_is_refused():
    with pytest.raises(SpecError, match=r"parameters\.theta\.labels: .* 3 elements .* got 2"):
        element_labels("theta", (3,), ["a", "b"])


def test_constant_and_repeated_elements_are_skipped_and_named():
    """A correlation matrix has ones on its diagonal and every other number twice."""
    r = np.tanh(sample(6))
    truth = np.stack([np.stack([np.ones(6), r], -1), np.stack([r, np.ones(6)], -1)], -2)
    flat = flatten({"R": sample(6, 4, 2, 2)}, {"R": truth}, labels={})
    assert flat.names == ("R[0,1]",)
    assert flat.skipped == {
        "R[0,0]": "the same in every data set",
        "R[1,0]": "equal to R[0,1]",
        "R[1,1]": "the same in every data set",
    }


@pytest.mark.parametrize(
    ("estimate", "truths", "error", "message"),
    [
        (sample(5, 7), {}, DataError, "Expected true values of theta; got those of nothing"),
        (sample(5, 7), {"theta": sample(4)}, DataError, r"\(5,\); got \(4,\)"),
        (sample(5, 7, 2), {"theta": sample(5)}, DataError, r"\(5, 2\); got \(5,\)"),
        (sample(2, 7), {"theta": sample(2)}, UsageError, "at least 3 data sets .* got 2 with 7"),
        (sample(5, 1), {"theta": sample(5)}, UsageError, "got 5 with 1"),
        (sample(5, 7), {"theta": np.ones(5)}, DataError, "varies over the data sets; got none"),
    ],
)
def test_what_does_not_fit_is_refused(estimate, truths, error, message):
    with pytest.raises(error, match=message):
        flatten({"theta": estimate}, truths, labels={})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_draws_that_are_not_finite_are_refused(bad):
    draws = sample(5, 7)
    draws[3, 2] = bad
    flat = flatten({"theta": draws}, {"theta": sample(5, seed=1)}, labels={})
    with pytest.raises(DataError, match=r"finite draws of theta; got others in 1 of 5 .* set 3"):
        read(flat)


def test_truths_that_are_not_finite_are_refused():
    truth = sample(5)
    truth[1] = np.nan
    with pytest.raises(DataError, match="finite true values of theta"):
        read(flatten({"theta": sample(5, 7)}, {"theta": truth}, labels={}))


def test_the_summary_is_that_of_numpy(monkeypatch):
    monkeypatch.setattr(scalars, "BLOCK", 300)  # so that several blocks are needed
    draws, truth = posterior(datasets=11, draws=101)
    summary = read(flatten({"theta": draws}, {"theta": truth}, labels={}))
    wide = draws.astype(np.float64)
    np.testing.assert_allclose(summary.mean[0], wide.mean(1), rtol=1e-12)
    np.testing.assert_allclose(summary.sd[0], wide.std(1, ddof=1), rtol=1e-12)
    for values, level in ((summary.low, 0.025), (summary.median, 0.5), (summary.high, 0.975)):
        np.testing.assert_allclose(values[0], np.quantile(wide, level, axis=1), rtol=1e-12)
    below = (draws < truth[:, None].astype(np.float32)).sum(1)
    np.testing.assert_array_equal(np.floor(summary.pit[0] * 102), below)
    centre = np.column_stack([wide, truth]).mean(1, keepdims=True)
    nearer = (np.abs(wide - centre) < np.abs(truth[:, None] - centre)).sum(1)
    np.testing.assert_array_equal(np.floor(summary.distance_pit[0] * 102), nearer)


def test_ranks_of_exact_posteriors_are_uniform_however_few_the_draws():
    draws, truth = posterior(datasets=20_000, draws=3)
    summary = read(flatten({"theta": draws}, {"theta": truth}, labels={}))
    assert kstest(summary.pit[0], "uniform").pvalue > 1e-3
    assert kstest(summary.distance_pit[0], "uniform").pvalue > 1e-3


def test_ties_are_broken_at_random():
    """A parameter at its bound ties with all draws there: its rank may be any of theirs."""
    truth = np.where(np.arange(4000) % 2, 0.0, 1.0)
    summary = read(flatten({"theta": np.zeros((4000, 3))}, {"theta": truth}, labels={}))
    tied = summary.pit[0, truth == 0]
    assert (summary.pit[0, truth == 1] > 0.75).all()
    np.testing.assert_allclose(np.histogram(tied, 4, (0, 1))[0] / len(tied), 0.25, atol=0.04)


def test_the_seed_settles_the_ties():
    draws, truth = posterior(datasets=9, draws=50)
    flat = flatten({"theta": draws}, {"theta": truth}, labels={})
    np.testing.assert_array_equal(read(flat).pit, read(flat).pit)
