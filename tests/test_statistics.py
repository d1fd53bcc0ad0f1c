"""Statistics without weights: laws of all families, and oracles of each."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from abi_cli.statistics import Statistics, gaussian, regressions, sets
from abi_cli.statistics.columns import Column, column_of
from abi_cli.statistics.families import families_of
from abi_cli.statistics.groups import groups_of
from abi_cli.statistics.members import Members, chunks
from abi_cli.variables import Ragged, take

RNG = np.random.default_rng(11)
SIZES = RNG.integers(2, 40, size=60)
FLAT = int(SIZES.sum())


def ragged(values):
    return Ragged(values, SIZES)


X = RNG.normal(size=FLAT)
PILOT = {
    "x": ragged(X),
    "y": ragged(1 + 2 * X - X**2 + RNG.normal(size=FLAT)),
    "choice": ragged(RNG.integers(0, 2, size=FLAT)),
    "k": ragged(RNG.poisson(4, size=FLAT)),
    "few": ragged(np.arange(FLAT) % 5),
    "gaps": ragged(np.where(RNG.random(FLAT) < 0.3, np.nan, RNG.normal(size=FLAT))),
    "rows": ragged(RNG.normal(5, 3, size=(FLAT, 6))),
    "late": ragged(RNG.lognormal(size=FLAT)),
    "vector": RNG.normal(size=(60, 8)),
}
GROUPS = {
    "numbers": (("x", "y"), ()),
    "choices": (("x", "choice"), ()),
    "counts": (("x", "k"), ()),
    "trials": (("k", "late", "choice"), ()),
    "counts of few kinds": (("x", "few"), ()),
    "gaps": (("gaps", "x"), ()),
    "rows": (("rows",), ()),
    "series": (("y",), ("y",)),
    "series with gaps": (("gaps",), ("gaps",)),
    "choices in order": (("choice", "gaps"), ("choice", "gaps")),
    "vector": (("vector",), ()),
}


def families():
    for title, (names, ordered) in GROUPS.items():
        (group,) = groups_of(PILOT, names, given=(), series=ordered)
        for family, statistic in families_of(group).items():
            yield pytest.param(group, statistic, id=f"{title}-{family}")


FAMILIES = list(families())


def members_of(group, data=PILOT, rows=slice(None)):
    index = np.arange(60)[rows]
    some = take({name: data[name] for name in group.names}, index)
    return next(chunks(some, group.names))[1]


@pytest.mark.parametrize(("group", "statistic"), FAMILIES)
def test_padding_and_company_change_nothing(group, statistic):
    together = statistic(members_of(group))
    alone = np.concatenate([statistic(members_of(group, rows=slice(i, i + 1))) for i in range(60)])
    np.testing.assert_allclose(together, alone, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("group", "statistic"), FAMILIES)
def test_the_order_of_members_counts_in_series_alone(group, statistic):
    members = members_of(group)
    moved = np.stack([RNG.permutation(size) for size in [members.columns.shape[1]] * 60])
    shuffled = Members(
        np.take_along_axis(members.columns, moved[:, :, None], axis=1),
        np.take_along_axis(members.inside, moved, axis=1),
    )
    if not group.ordered:
        np.testing.assert_allclose(statistic(shuffled), statistic(members), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("group", "statistic"), FAMILIES)
def test_odd_data_sets_have_finite_statistics(group, statistic):
    columns = len(members_of(group).columns[0, 0])
    odd = np.full((6, 12, columns), np.nan)
    inside = np.zeros((6, 12), bool)
    inside[1, :1], inside[2, :2], inside[3:] = True, True, True
    odd[1, 0], odd[2, 1], odd[3], odd[4, 3:] = 1.0, -2.0, 1.0, 1e6
    odd[5] = RNG.normal(size=(12, columns))
    found = statistic(Members(odd, inside))
    assert np.isfinite(found).all()


def plain(place=0, **options):
    return Column(place, 0.0, 1.0, **options)


def side_by_side(*columns):
    values = np.stack(columns, axis=2).astype(float)
    return Members(values, np.ones(values.shape[:2], bool))


def test_least_squares_is_that_of_linear_algebra():
    x, z = RNG.normal(size=(2, 5, 30))
    y = 1 + 2 * x - 3 * z + RNG.normal(size=(5, 30))
    y[:, ::7] = np.nan
    found = regressions.least_squares(
        side_by_side(x, z, y), plain(2), [plain(0), plain(1)], squares=False
    )
    for row in range(5):
        there = np.isfinite(y[row])
        design = np.stack([x[row, there], z[row, there], np.ones(there.sum())], axis=1)
        b, residual, *_ = np.linalg.lstsq(design, y[row, there], rcond=None)
        variance = residual[0] / (there.sum() - 3)
        errors = np.sqrt(variance * np.diag(np.linalg.inv(design.T @ design)))
        np.testing.assert_allclose(found[row, :3], b, rtol=1e-5)
        np.testing.assert_allclose(np.exp(found[row, 3:6]), errors, rtol=1e-5)
        np.testing.assert_allclose(np.exp(found[row, 6]), np.sqrt(variance), rtol=1e-5)
        assert found[row, 8] == 1


def test_what_multiplies_is_regressed_on_the_scale_of_logarithms():
    x, noise = RNG.normal(size=(2, 60, 25))
    slopes = RNG.normal(size=(60, 1))
    y = np.exp(3 + slopes * x + 0.2 * noise)
    sizes = np.full(60, 25)
    pilot = {"x": Ragged(x.reshape(-1), sizes), "y": Ragged(y.reshape(-1), sizes)}
    (group,) = groups_of(pilot, ("x", "y"), given=("x",), series=())
    found = families_of(group)["least_squares1bent"](members_of(group, pilot))
    exact = [np.polyfit(a, np.log(b), 1)[0] for a, b in zip(x, y, strict=True)]
    units = group.columns[1].spread / group.columns[0].scale
    np.testing.assert_allclose(found[:, 0] * units, exact, atol=1e-5)


def test_multiplicative_regression_finds_the_penalized_maximum_of_a_gamma_likelihood():
    x = RNG.normal(size=(4, 40))
    y = RNG.gamma(1.5, np.exp(2 + 0.7 * x))
    response = replace(column_of(1, y.reshape(-1), response=True), floor=0.0)
    found = regressions.multiplicative(side_by_side(x, y), response, [plain(0)], squares=False)
    for row in range(4):
        own = y[row] / np.exp(response.middle)

        def penalized(b, row=row, own=own):
            eta = b[0] + b[1] * x[row]
            return (eta + own * np.exp(-eta)).sum() + regressions.PRIOR / 2 * b @ b

        b = optimize.minimize(penalized, np.zeros(2), tol=1e-12).x
        np.testing.assert_allclose(found[row, :2], b, atol=1e-4)
        ratio = own * np.exp(-b[0] - b[1] * x[row])
        np.testing.assert_allclose(found[row, 4], np.log(np.mean((ratio - 1) ** 2)), atol=1e-3)
        np.testing.assert_allclose(found[row, 5], np.mean(np.log(ratio)), atol=1e-3)


def test_zero_inflated_regression_finds_the_penalized_maximum():
    rng = np.random.default_rng(2)
    x = rng.uniform(-1, 1, size=(3, 200))
    y = np.where(rng.random(x.shape) < 0.3, 0, rng.poisson(np.exp(0.8 + 0.9 * x)))
    response = plain(1, counts=True, floor=0.5)
    found = regressions.zero_inflated(side_by_side(x, y), response, [plain(0)], squares=False)

    def loss(b, row):
        mean, share = np.exp(b[0] + b[1] * x[row]), 1 / (1 + np.exp(-b[2]))
        p = (1 - share) * stats.poisson(mean).pmf(y[row]) + share * (y[row] == 0)
        weak = 0.025 * (b[0] ** 2 + b[1] ** 2) - 0.5 * np.log(share) - np.log(1 - share)
        return weak - np.log(p + 1e-300).sum()

    for row in range(3):
        best = optimize.minimize(loss, [0.5, 0.5, -1], args=(row,), method="Nelder-Mead").x
        np.testing.assert_allclose(found[row, [0, 1, 4]], best, atol=0.03)
    alone = regressions.zero_inflated(side_by_side(x, y), response, [], squares=False)
    assert np.isfinite(alone).all()


@pytest.mark.parametrize("rows", [0, 2, 12])
def test_bayesian_regression_is_that_of_quadrature(rows):
    """By brute force, a normal posterior of the coefficients at each of many residual sds."""
    rng = np.random.default_rng(rows)
    x = rng.normal(size=rows)
    y = 0.4 - 0.8 * x + 0.2 * rng.normal(size=rows)
    found = regressions.bayesian(
        side_by_side(np.append(x, 1.0)[None], np.append(y, np.nan)[None]),
        plain(1),
        [plain(0)],
        squares=False,
    )[0, 7:]
    sigma = np.exp(np.linspace(-11, 1.5, 4_000))
    design = np.stack([np.ones(rows), x], axis=1)
    log_p, means, variances = [], [], []
    for s in sigma:
        covariance = np.linalg.inv(np.eye(2) + design.T @ design / s**2)
        means.append(covariance @ design.T @ y / s**2)
        variances.append(np.diag(covariance))
        b = means[-1]
        log_p.append(  # of y and b over that of b given y, at its mean
            stats.norm.logpdf(y, design @ b, s).sum()
            + stats.norm.logpdf(b).sum()
            + 0.5 * np.linalg.slogdet(covariance)[1]
            + np.log(s)
        )
    p = np.exp(np.array(log_p) - max(log_p))
    p = p / p.sum()
    mean = p @ np.array(means)
    variance = p @ (np.array(variances) + (np.array(means) - mean) ** 2)
    np.testing.assert_allclose(found[:2], mean, atol=0.02)
    np.testing.assert_allclose(np.exp(found[2:4]), np.sqrt(variance), rtol=0.03)
    assert found[4] == pytest.approx(p @ np.log(sigma), abs=0.15)


@pytest.mark.parametrize("kind", ["choices", "counts", "trials"])
def test_iterated_regressions_find_the_penalized_maximum(kind):
    x = RNG.normal(size=(4, 40))
    m = RNG.integers(5, 20, size=x.shape)
    eta = 0.5 + 0.8 * x
    p = 1 / (1 + np.exp(-eta))
    y = {
        "choices": RNG.binomial(1, p),
        "counts": RNG.poisson(np.exp(eta)),
        "trials": RNG.binomial(m, p),
    }[kind]
    levels = (0.0, 1.0) if kind == "choices" else ()
    response = plain(1, levels=levels, counts=True)
    trials = plain(2, counts=True) if kind == "trials" else None
    regressors = [plain(0)] if trials is None else [plain(0), trials]
    found = regressions.iterated(
        side_by_side(x, y, m), response, regressors, squares=False, trials=trials
    )
    for row in range(4):

        def loss(b, row=row):
            line = b[0] + b[1] * x[row]
            number = m[row] if kind == "trials" else 1
            if kind == "counts":
                fit = y[row] * line - np.exp(line)
            else:
                fit = y[row] * line - number * np.logaddexp(0, line)
            return -fit.sum() + 0.5 * regressions.PRIOR * b @ b

        best = optimize.minimize(loss, np.zeros(2), tol=1e-12).x
        np.testing.assert_allclose(found[row, :2], best, atol=1e-4)


def test_order_statistics_are_quantiles_of_what_is_there():
    x = RNG.normal(size=(6, 25))
    x[:, 20:] = np.nan
    found = sets.order(x)
    for row in range(6):
        there = np.sort(x[row, :20])
        np.testing.assert_allclose(found[row, :2], there[:2])
        np.testing.assert_allclose(found[row, 2:13], np.quantile(there, sets.LEVELS))
        np.testing.assert_allclose(found[row, 13:15], there[-2:])


def test_statistics_by_category_are_those_of_their_members():
    x = RNG.normal(size=(3, 30))
    choice = RNG.integers(0, 2, size=x.shape)
    members = side_by_side(choice, x)
    found = sets.by_category(members, [plain(0, levels=(0.0, 1.0))], [plain(1)])
    half = found.shape[1] // 2
    for row in range(3):
        for level in (0, 1):
            chosen = x[row, choice[row] == level]
            at = found[row, level * half :]
            assert at[0] == pytest.approx(chosen.mean())
            assert at[1] == pytest.approx(np.log(chosen.var() + 1e-6))


def test_rates_by_category_are_those_of_its_counts():
    k = RNG.poisson(3.0, size=(4, 30)).astype(float)
    choice = RNG.integers(0, 3, size=k.shape)
    k[0, choice[0] == 2] = np.nan
    k[1, choice[1] == 1] = 0
    levels = [plain(0, levels=(0.0, 1.0, 2.0)), plain(1, counts=True)]
    found = sets.rates(side_by_side(choice, k), levels[:1], levels[1:]).reshape(4, 3, 3)
    for row in range(4):
        for level in range(3):
            own = k[row, choice[row] == level]
            own = own[np.isfinite(own)]
            n, total = max(len(own), 1), own.sum() + 0.5
            spread = own.var() if len(own) else 0.0
            expected = np.log(total / n), -np.log(total) / 2, np.log((spread + 0.5 / n) * n / total)
            np.testing.assert_allclose(found[row, level], expected)


def test_rows_are_split_into_within_and_between():
    levels, slope, sd = RNG.normal(0, 4, size=(1, 400, 1)), 3.0, 0.5
    j = np.linspace(-1, 1, 10)
    y = levels + slope * j + sd * RNG.normal(size=(1, 400, 10))
    y[RNG.random(y.shape) < 0.4] = np.nan
    members = Members(y, np.ones(y.shape[:2], bool))
    found = sets.positions(members, [plain(k) for k in range(10)])[0]
    assert found[0] == pytest.approx(slope, abs=0.05)
    assert np.exp(found[1] / 2) == pytest.approx(sd, rel=0.05)
    assert np.exp(found[3] / 2) == pytest.approx(np.std(levels), rel=0.05)
    assert np.exp(found[10] / 2) == pytest.approx(sd, rel=0.05)  # about rows' own lines, too


def test_moments_are_those_of_scipy():
    x = RNG.gamma(2, size=(4, 30))
    x[:, 25:] = np.nan
    found = sets.spread(side_by_side(x), [plain()])
    for row, there in enumerate(x[:, :25]):
        sd, kurtosis = there.std(), stats.kurtosis(there, fisher=False)
        told = [np.log(sd**2), sd, np.log(sd / 5), stats.skew(there), np.log1p(kurtosis)]
        np.testing.assert_allclose(found[row], [there.mean(), *told], rtol=1e-6)


def test_shares_of_levels_have_their_logits():
    x = np.array([[0.0, 1.0, 1.0, 1.0, np.nan]])
    found = sets.shares(side_by_side(x), [plain(levels=(0.0, 1.0))])
    np.testing.assert_allclose(found, [[0.25, np.log(1.5 / 3.5), 0.75, np.log(3.5 / 1.5)]])


def with_one(u):
    return np.concatenate([np.ones((len(u), 1)), u], axis=1)


def test_the_gaussian_fit_finds_the_few_statistics_that_count():
    u = RNG.normal(size=(8_000, 150))
    theta = 3 + 2 * u[:, 4] - u[:, 70] + np.exp(0.5 * u[:, 9] - 1) * RNG.normal(size=8_000)
    mean, log_sd = gaussian.fit(with_one(u), theta)
    assert mean[[0, 5, 71]] == pytest.approx([3, 2, -1], abs=0.03)
    assert log_sd[[0, 10]] == pytest.approx([-1, 0.5], abs=0.04)
    assert (mean != 0).sum() < 15
    assert (log_sd != 0).sum() < 15


def test_statistics_that_say_nothing_leave_parameters_as_they_are():
    u = RNG.normal(size=(4_000, 40))
    mean, log_sd = gaussian.fit(with_one(u), RNG.standard_cauchy(size=4_000))
    assert np.abs(mean[1:]).max() < 0.2
    assert np.abs(log_sd[1:]).max() < 0.2


def parabolas(number=3_000):
    beta = RNG.normal(size=(number, 3))
    size = RNG.integers(8, 20, size=number)
    x = RNG.normal(size=size.sum())
    b = np.repeat(beta, size, axis=0)
    y = b[:, 0] + b[:, 1] * x + b[:, 2] * x**2 + 0.3 * RNG.normal(size=len(x))
    return beta, {"x": Ragged(x, size), "y": Ragged(y, size)}


def test_families_are_kept_where_the_pilot_shows_that_they_predict():
    beta, data = parabolas()
    fitted = Statistics.fit(data, ["x", "y"], beta)
    ((_, kept),) = fitted.offer.groups
    assert "bayesian1squared" in kept
    assert len(kept) < 5
    u = fitted.of(data)
    assert np.isfinite(u).all()
    w = np.linalg.lstsq(with_one(u), beta, rcond=None)[0]
    assert (np.var(with_one(u) @ w - beta, axis=0) < 0.05).all()


def test_statistics_come_back_from_json():
    beta, data = parabolas(600)
    fitted = Statistics.fit(data, ["x", "y"], beta)
    again = Statistics.from_config(json.loads(json.dumps(fitted.to_config())))
    np.testing.assert_array_equal(again.of(data), fitted.of(data))


def test_units_of_the_data_change_nothing_that_is_told():
    beta, data = parabolas(1_200)
    other = {n: Ragged(v.values * 1e4 + 7e4, v.row_size) for n, v in data.items()}
    one, two = (Statistics.fit(d, ["x", "y"], beta) for d in (data, other))
    for fitted, its in ((one, data), (two, other)):
        w = np.linalg.lstsq(with_one(fitted.of(its)), beta, rcond=None)[0]
        assert (np.var(with_one(fitted.of(its)) @ w - beta, axis=0) < 0.05).all()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full(50, 3.0), None),
        (np.arange(50) % 2, {"levels": (0.0, 1.0), "counts": True}),
        (stats.poisson(30).rvs(500, random_state=1), {"levels": (), "counts": True}),
        (stats.lognorm(1.5).rvs(500, random_state=1), {"counts": False, "floor": 0.0}),
        (stats.norm().rvs(500, random_state=1), {"floor": None, "heavy": False}),
        (stats.cauchy().rvs(500, random_state=1), {"floor": None, "heavy": True}),
    ],
    ids=["constant", "choices", "counts", "skewed", "normal", "heavy"],
)
def test_columns_are_told_by_their_values(values, expected):
    column = column_of(0, np.asarray(values, float), response=True)
    if expected is None:
        assert column is None
    else:
        assert {name: getattr(column, name) for name in expected} == expected
