"""The guard: uniform p-values where data are of the model, a reason in words where they aren't."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from abi_cli.guard import Guard, Look, Reference, Scores, Verdict, flagged, wanted
from abi_cli.guard.plain import Plain, families_of
from abi_cli.variables import Datasets, Layout, Ragged, Variable

PAIRS = Layout(
    (
        Variable("N", "context", False, (), True, ("x", "y"), 5, 60),
        Variable("x", "observable", True, ()),
        Variable("y", "observable", True, (), missing=True),
    )
)


def pairs(
    number: int, rng: np.random.Generator, *, size: int | None = None, noise=None, bend: float = 0.0
) -> Datasets:
    """Data sets of a line with noise, such as regression.yaml has."""
    sizes = rng.integers(5, 61, number) if size is None else np.full(number, size)
    own = np.repeat(np.arange(number), sizes)
    a, b, sigma = rng.normal(2, 3, number), rng.normal(0, 1, number), rng.gamma(2, 1, number)
    x = rng.normal(size=len(own))
    e = rng.normal(size=len(own)) if noise is None else noise(len(own))
    y = a[own] + b[own] * x + sigma[own] * (e + bend * (x**2 - 1))
    return {"N": sizes, "x": Ragged(x, sizes), "y": Ragged(y, sizes)}


PLAIN = Plain(PAIRS, tuple(families_of(PAIRS, pairs(20, np.random.default_rng(0)), ())))


def summarized(data: Datasets) -> np.ndarray:
    """What networks could make of them: bent mixtures of a few statistics."""
    table = PLAIN.statistics(data)
    few = np.nan_to_num(table.bent()[:, :4], neginf=-50.0)
    mixed = few @ np.random.default_rng(1).normal(size=(4, 6))
    return np.tanh(mixed / 5) + mixed / 20


def look(data: Datasets) -> Look:
    return Look.at(data, PLAIN, summarized(data))


def guard(number: int, seed: int) -> Guard:
    data = pairs(number, np.random.default_rng([7, seed]))
    reference = Reference.of([data], PAIRS, summarized)
    assert reference is not None
    return Guard(reference)


@pytest.fixture(scope="module")
def trained() -> Guard:
    return guard(5_000, 0)


class TestCalibration:
    def test_one_percent_of_the_models_own_are_flagged_at_one_percent(self):
        shares = []
        for seed in range(8):  # a reference is known up to its own chance
            own = look(pairs(3_000, np.random.default_rng([8, seed])))
            p = guard(2_500, seed).scores(own).p
            shares.append([(p < 0.01).mean(), (p < 0.1).mean()])
        small, large = np.mean(shares, axis=0)
        assert 0.008 <= small <= 0.012
        assert 0.09 <= large <= 0.11

    def test_it_holds_at_every_size(self, trained):
        own = pairs(8_000, np.random.default_rng(3))
        p = trained.scores(look(own)).p
        for low, high in ((5, 20), (20, 40), (40, 61)):
            assert 0.03 < (p[(own["N"] >= low) & (own["N"] < high)] < 0.05).mean() < 0.07

    def test_a_data_set_has_the_same_p_whatever_is_beside_it(self, trained):
        own = look(pairs(50, np.random.default_rng(4)))
        alone = [trained.scores(own.take(np.array([i]))).p[0] for i in range(50)]
        np.testing.assert_allclose(alone, trained.scores(own).p)


FAULTS = {
    "a size of another order": (lambda r: pairs(100, r, size=600), "N = 600, trained on 5 to 60"),
    "a curve": (lambda r: pairs(100, r, size=50, bend=1), "given"),
    "copies": (lambda r: copied(pairs(100, r, size=48)), "ties of y 0.2292, simulated 0"),
    "another unit": (lambda r: times(pairs(100, r, size=50), 1000), "y = "),
    "a constant": (lambda r: times(pairs(100, r, size=50), 0), "sd of y 0, simulated 0."),
    "a sentinel": (lambda r: sentinel(pairs(100, r, size=50)), "y = −999, simulated −"),
}


def with_y(data: Datasets, y: np.ndarray) -> Datasets:
    return data | {"y": Ragged(y, data["y"].row_size)}


def times(data: Datasets, factor: float) -> Datasets:
    return with_y(data, data["y"].values * factor)


def sentinel(data: Datasets) -> Datasets:
    y = data["y"].values.copy()
    y[data["y"].starts()] = -999
    return with_y(data, y)


def copied(data: Datasets) -> Datasets:
    y = data["y"].values.reshape(100, 48).copy()
    y[:, :12] = y[:, 12:24]
    return with_y(data, y.ravel())


class TestFaults:
    @pytest.mark.parametrize("name", FAULTS)
    def test_it_is_caught_and_named(self, trained, name):
        faulty, words = FAULTS[name]
        scores = trained.scores(look(faulty(np.random.default_rng(5))), explain_below=0.01)
        assert (scores.p < 0.01).mean() >= 0.9
        assert any(words in reason for reason in scores.reasons)

    def test_context_that_was_never_seen_is_the_reason_whatever_else_is_odd(self, trained):
        short = times(pairs(20, np.random.default_rng(12), size=3), 3)
        reasons = trained.scores(look(short), explain_below=1.1).reasons
        assert set(reasons) == {"N = 3, trained on 5 to 60"}

    def test_one_absurd_data_set_among_many_is_named(self, trained):
        own, odd = pairs(3_000, np.random.default_rng(6)), pairs(1, np.random.default_rng(6))
        odd = times(odd, 1000)
        verdict = Verdict(5_000)
        verdict.add([str(i) for i in range(3_000)], trained.scores(look(own), explain_below=0.01))
        verdict.add(["absurd"], trained.scores(look(odd), explain_below=0.01))
        told = verdict.sentence()
        assert told is not None
        assert told.startswith("1 of 3,001 data sets looks unlike the simulations: absurd (y = "), (
            told
        )

    def test_what_has_no_statistics_says_nothing(self, trained):
        few = pairs(3, np.random.default_rng(7), size=1)
        few["y"].values[:] = np.nan
        assert np.isfinite(trained.scores(look(few), explain_below=1.1).p).all()

    def test_numbers_that_were_rounded_are_not_ties(self, trained):
        own = pairs(200, np.random.default_rng(8))
        rounded = {n: Ragged(np.round(own[n].values, 2), own["N"]) for n in "xy"}
        p = trained.scores(look(own | rounded)).p
        assert (p < 0.01).mean() < 0.05


class TestReference:
    def test_it_is_the_same_from_a_file(self, trained):
        again = Guard(Reference.from_arrays(trained.reference.to_arrays()))
        own = look(pairs(200, np.random.default_rng(9)))
        np.testing.assert_array_equal(again.scores(own).p, trained.scores(own).p)

    def test_what_only_other_versions_look_at_plays_no_part(self, trained):
        own = pairs(50, np.random.default_rng(9))
        whole, fewer = trained.reference, trained.reference.to_arrays()
        said = json.loads(str(fewer["names"]))
        said["statistics"] = ["of before", *said["statistics"][1:]]
        other = Reference.from_arrays(fewer | {"names": np.array(json.dumps(said))})
        found = other.look_at(own, PAIRS, summarized(own))
        assert np.isnan(found.statistics.numbers[:, 0]).all()
        usual = whole.look_at(own, PAIRS, summarized(own)).statistics.numbers
        np.testing.assert_array_equal(found.statistics.numbers[:, 1:], usual[:, 1:])
        assert np.isfinite(Guard(other).scores(found).p).all()

    @pytest.mark.parametrize("name", ["names", "context", "values", "statistics", "summaries"])
    def test_what_is_no_reference_is_refused(self, trained, name):
        arrays = trained.reference.to_arrays()
        for wrong in (None, np.zeros((3, 3, 3)), np.array("{}")):
            damaged = {key: value for key, value in arrays.items() if key != name}
            damaged |= {} if wrong is None else {name: wrong}
            with pytest.raises(ValueError, match="expected"):
                Reference.from_arrays(damaged)

    def test_parts_are_one_reference(self):
        data = pairs(600, np.random.default_rng(10))
        from abi_cli.variables import take

        whole = Reference.of([data], PAIRS, summarized)
        parts = Reference.of(
            [take(data, slice(0, 250)), take(data, slice(250, 600))], PAIRS, summarized
        )
        assert whole is not None
        assert parts is not None
        for name, value in whole.to_arrays().items():
            np.testing.assert_array_equal(parts.to_arrays()[name], value)

    @pytest.mark.parametrize(
        ("simulations", "number"), [(1, 500), (100_000, 2_000), (10**7, 5_000)]
    )
    def test_its_size(self, simulations, number):
        assert wanted(simulations) == number


class TestPlain:
    """Beside what SciPy says of one data set after the other."""

    def test_of_one_column(self):
        data = pairs(20, np.random.default_rng(11))
        table = PLAIN.statistics(data)
        said = dict(zip(table.names, table.numbers.T, strict=True))
        for i, y in enumerate(np.split(data["y"].values, data["y"].starts()[1:])):
            assert said["mean of y"][i] == pytest.approx(y.mean(), rel=1e-6)
            assert said["sd of y"][i] == pytest.approx(y.std(), rel=1e-6)
            assert said["skewness of y"][i] == pytest.approx(stats.skew(y), rel=1e-5)
            width = np.subtract(*np.quantile(y, [0.75, 0.25])) / 1.349
            assert said["sd / quartile width of y"][i] == pytest.approx(y.std() / width, rel=1e-5)
            assert said["kurtosis of y"][i] == pytest.approx(stats.kurtosis(y) + 3, rel=1e-5)

    def test_of_one_column_given_the_other(self):
        data = pairs(20, np.random.default_rng(12))
        table = PLAIN.statistics(data)
        said = dict(zip(table.names, table.numbers.T, strict=True))
        starts = data["y"].starts()[1:]
        for i, (x, y) in enumerate(
            zip(np.split(data["x"].values, starts), np.split(data["y"].values, starts), strict=True)
        ):
            design = np.stack([np.ones_like(x), x], axis=1)
            hat = np.diag(design @ np.linalg.pinv(design))
            beta, rss = np.linalg.lstsq(design, y, rcond=None)[:2]
            without = []
            for j in range(len(y)):
                rest = np.delete(np.arange(len(y)), j)
                left = np.linalg.lstsq(design[rest], y[rest], rcond=None)[1]
                s = np.sqrt(left[0] / (len(y) - 3))
                without.append(abs((y - design @ beta)[j]) / s / np.sqrt(1 - hat[j]))
            squares = np.concatenate([design, x[:, None] ** 2], axis=1)
            gain = 1 - np.linalg.lstsq(squares, y, rcond=None)[1][0] / rss[0]
            assert said["slope of y on x"][i] == pytest.approx(beta[1], rel=1e-4)
            sd = np.sqrt(rss[0] / (len(y) - 2))
            assert said["residual sd of y given x"][i] == pytest.approx(sd, rel=1e-4)
            assert said["largest leverage of x"][i] == pytest.approx(hat.max(), rel=1e-4)
            largest = said["largest studentized residual of y given x"][i]
            assert largest == pytest.approx(max(without), rel=1e-3)
            assert said["curvature of y given x"][i] == pytest.approx(gain, rel=1e-3, abs=1e-6)

    def test_of_steps(self):
        rng = np.random.default_rng(13)
        layout = Layout((Variable("z", "observable", True, ()),))
        data: Datasets = {"z": Ragged(rng.normal(size=30).cumsum(), np.array([10, 20]))}
        plain = Plain(layout, tuple(families_of(layout, data, ("z",))))
        table = plain.statistics(data)
        said = dict(zip(table.names, table.numbers.T, strict=True))
        for i, z in enumerate(np.split(data["z"].values, [10])):
            off = z - z.mean()
            lag = (off[1:] * off[:-1]).mean() / off.var()
            assert said["autocorrelation of z at lag 1"][i] == pytest.approx(lag, rel=1e-5)
            assert said["time of the peak of z"][i] == pytest.approx(z.argmax() / len(z))
            runs = [len(r) for r in np.split(off, np.flatnonzero(np.diff(np.sign(off))) + 1)]
            assert said["longest run of z"][i] == pytest.approx(max(runs) / len(z))
        assert plain.context(data).names == ("number of z",)

    def test_of_counts(self):
        rng = np.random.default_rng(14)
        layout = Layout((Variable("k", "observable", True, (), True, (), 0, 9),))
        data: Datasets = {"k": Ragged(rng.poisson(2, 40), np.array([15, 25]))}
        table = Plain(layout, tuple(families_of(layout, data, ()))).statistics(data)
        said = dict(zip(table.names, table.numbers.T, strict=True))
        first = data["k"].values[:15]
        assert said["dispersion of k"][0] == pytest.approx(first.var() / first.mean(), rel=1e-6)
        assert said["zeros of k"][0] == pytest.approx((first == 0).mean(), rel=1e-6)
        assert "ties of k" not in said

    def test_gaps_play_no_part(self):
        data = pairs(10, np.random.default_rng(15), size=20)
        y = data["y"].values.reshape(10, 20).copy()
        y[:, ::4] = np.nan
        whole = data | {
            "N": np.full(10, 15),
            "x": Ragged(
                np.delete(data["x"].values.reshape(10, 20), np.s_[::4], 1).ravel(), np.full(10, 15)
            ),
            "y": Ragged(np.delete(y, np.s_[::4], 1).ravel(), np.full(10, 15)),
        }
        gappy, full = PLAIN.statistics(with_y(data, y.ravel())), PLAIN.statistics(whole)
        for name, one, other in zip(gappy.names, gappy.numbers.T, full.numbers.T, strict=True):
            if "of y" in name:
                np.testing.assert_allclose(one, other, rtol=1e-4, err_msg=name)
        assert PLAIN.context(with_y(data, y.ravel())).numbers[0, -1] == pytest.approx(0.25)


class TestVerdict:
    def scores(self, *p: float) -> Scores:
        return Scores(
            np.array(p), np.ones((len(p), 5)), tuple(f"reason {i}" for i in range(len(p)))
        )

    def test_of_one_data_set(self):
        verdict = Verdict(5_000)
        verdict.add(["a"], self.scores(0.009))
        assert verdict.sentence() == "data set a looks unlike the simulations (p = 0.009): reason 0"
        quiet = Verdict(5_000)
        quiet.add(["a"], self.scores(0.011))
        assert quiet.sentence() is None

    def test_the_false_discovery_rate_is_that_of_benjamini_and_hochberg(self):
        rng = np.random.default_rng(19)
        for _ in range(50):
            p = np.concatenate([rng.uniform(0.02, 1, 60), rng.uniform(size=3) * 1e-3])
            wanted = stats.false_discovery_control(p) <= 0.01
            if (p < 0.01).sum() == 3:  # else the count is surprising, too
                small = flagged(p, simulations=100)  # too few to be sure of the count
                np.testing.assert_array_equal(small, wanted)

    def test_the_count_of_many_is_told(self):
        rng = np.random.default_rng(20)
        verdict = Verdict(5_000)
        verdict.add([str(i) for i in range(1_000)], self.scores(*np.linspace(1e-3, 1, 1_000)))
        assert verdict.sentence() is None
        p = np.concatenate([np.full(60, 0.008), rng.uniform(0.01, 1, 940)])
        verdict = Verdict(5_000)
        verdict.add([str(i) for i in range(1_000)], self.scores(*p))
        assert verdict.sentence() == (
            "60 of 1,000 data sets look unlike the simulations, 10 expected by chance: "
            "0 (reason 0); 1 (reason 1); 2 (reason 2); and 57 more"
        )


def test_a_mean_that_was_taken_out_is_zero_whatever_rounding_leaves():
    data = pairs(50, np.random.default_rng(3))
    x, sizes = data["x"].values, data["x"].row_size
    starts = np.cumsum(sizes) - sizes
    centred = x - np.repeat(np.add.reduceat(x, starts) / sizes, sizes)
    assert np.add.reduceat(centred, starts).any()  # off zero by rounding
    table = PLAIN.statistics({**data, "x": Ragged(centred, sizes)})
    assert not table.numbers[:, table.names.index("mean of x")].any()
    assert PLAIN.statistics(data).numbers[:, table.names.index("mean of x")].all()
