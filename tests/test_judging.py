"""Draws of any tool against the truth: ArviZ's files, chains, weights, and what is refused."""

import csv
import json

import numpy as np
import pytest

from tests.cli import abi
from tests.diagnostics_examples import posterior


def truths(path, labels, **columns):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["dataset", *columns])
        writer.writerows(zip(labels, *columns.values(), strict=True))
    return path


def arviz_file(path, labels, draws, *, weight=None):
    """As another program writes it: `draws (chain, draw, dataset)`."""
    import xarray

    variables = {"theta": (("chain", "draw", "dataset"), draws)}
    if weight is not None:
        variables["weight"] = (("chain", "draw", "dataset"), weight)
    made = xarray.Dataset(variables, coords={"dataset": labels})
    made.to_netcdf(path, group="posterior", engine="h5netcdf")
    return path


def judged(*arguments, folder):
    result = abi("diagnose", *arguments, "-o", folder, "--force")
    assert result.exit_code == 0, result.stderr
    return json.loads((folder / "metrics.json").read_text()), result


def test_csv_draws_are_judged(tmp_path):
    draws, truth = posterior(datasets=400, draws=120, width=0.6)
    rows = ["dataset,draw,theta"]
    rows += [f"{n},{s},{v}" for n, own in enumerate(draws) for s, v in enumerate(own)]
    (tmp_path / "draws.csv").write_text("\n".join(rows))
    labels = np.random.default_rng(0).permutation(400)
    table = truths(tmp_path / "truth.csv", labels, theta=truth[labels])
    metrics, result = judged(
        "--draws", tmp_path / "draws.csv", "--truth", table, folder=tmp_path / "out"
    )
    assert metrics["verdict"]["outcome"] == "fail"
    assert "too narrow" in metrics["verdict"]["sentence"]
    assert "can't be told from right ones" in result.stderr
    assert (tmp_path / "out" / "report.html").exists()


def test_correlated_chains_are_thinned_to_their_worth(tmp_path):
    """AR(1) chains of exact posteriors: untthinned they would look too sure of themselves."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(1)
    datasets, rho = 300, 0.8
    truth = rng.standard_normal(datasets)
    noise = rng.standard_normal((4, 700, datasets)) * np.sqrt(1 - rho**2)
    chains = lfilter([1], [1, -rho], noise, axis=1)[:, 100:]
    table = truths(tmp_path / "truth.csv", range(datasets), theta=truth)
    file = arviz_file(tmp_path / "mcmc.nc", list(map(str, range(datasets))), chains)
    metrics, result = judged("--draws", file, "--truth", table, folder=tmp_path / "out")
    assert 100 <= metrics["draws"] < 500  # of 2,400, worth about a ninth
    assert metrics["verdict"]["outcome"] in ("pass", "cannot tell")
    assert "thinned to" in result.stderr

    short = arviz_file(tmp_path / "short.nc", list(map(str, range(datasets))), chains[:, :60])
    metrics, _ = judged("--draws", short, "--truth", table, folder=tmp_path / "out")
    assert metrics["verdict"]["outcome"] == "cannot tell"
    assert "nothing can be told" in metrics["verdict"]["sentence"]


def test_weights_count(tmp_path):
    """Draws of N(0, 2²) weighted to N(0, 1): right with their weights, too wide without."""
    rng = np.random.default_rng(2)
    datasets = 600
    truth = rng.standard_normal(datasets)
    draws = 2 * rng.standard_normal((1, 1_000, datasets))
    weight = np.exp(-0.5 * draws**2 * (1 - 1 / 4))
    labels = [f"set {n}" for n in range(datasets)]
    table = truths(tmp_path / "truth.csv", labels, theta=truth)
    plain = arviz_file(tmp_path / "plain.nc", labels, draws)
    metrics, _ = judged("--draws", plain, "--truth", table, folder=tmp_path / "out")
    assert metrics["verdict"]["outcome"] == "fail"
    weighted = arviz_file(tmp_path / "weighted.nc", labels, draws, weight=weight)
    metrics, result = judged("--draws", weighted, "--truth", table, folder=tmp_path / "out")
    assert metrics["parameters"].keys() == {"theta"}
    assert metrics["verdict"]["outcome"] != "fail"
    assert "resampled by weight" in result.stderr


def test_a_file_for_each_data_set_is_named_by_it(tmp_path):
    draws, truth = posterior(datasets=5, draws=300)
    files = []
    for name, own in zip("abcde", draws, strict=True):
        file = arviz_file(tmp_path / f"{name}.nc", ["x"], own[None, :, None])
        files += ["--draws", file]
    table = truths(tmp_path / "truth.csv", "edcba", theta=truth[::-1])
    metrics, _ = judged(*files, "--truth", table, "--show", "c", folder=tmp_path / "out")
    assert metrics["datasets"] == 5
    assert abs(metrics["parameters"]["theta"]["z_score_mean"]) < 2


@pytest.mark.parametrize("kind", ["csv", "jsonl", "npz"])
def test_data_tell_a_prior_from_a_posterior(kind, tmp_path):
    """Draws of the prior pass every test of ranks alone; beside their data they fail."""
    rng = np.random.default_rng(3)
    datasets, draws = 600, 400
    truth = rng.standard_normal(datasets)
    size = rng.integers(3, 6, datasets)
    x = [mean + rng.standard_normal(n) for mean, n in zip(truth, size, strict=True)]
    labels = [f"s{n}" for n in range(datasets)]
    order = rng.permutation(datasets)
    file = tmp_path / f"data.{kind}"
    if kind == "csv":
        rows = [f"{labels[n]},{v},{truth[n]}" for n in order for v in x[n]]
        file.write_text("\n".join(["dataset,x,theta", *rows]))
    elif kind == "jsonl":
        rows = [{"dataset": labels[n], "theta": truth[n], "x": x[n].tolist()} for n in order]
        file.write_text("\n".join(map(json.dumps, rows)))
    else:
        flat = np.concatenate([x[n] for n in order])
        own = {"theta": truth[order], "dataset": np.array(labels)[order]}
        np.savez(file, x=flat, row_size=size[order], **own)

    prior = rng.standard_normal((1, draws, datasets))
    deaf = arviz_file(tmp_path / "deaf.nc", labels, prior)
    blind, _ = judged("--draws", deaf, "--truth", file, folder=tmp_path / "out")
    seen, _ = judged("--draws", deaf, "--truth", file, "--data", file, folder=tmp_path / "out")
    assert blind["verdict"]["outcome"] != "fail"
    assert seen["verdict"]["outcome"] == "fail"

    mean = np.array([own.sum() / (1 + len(own)) for own in x])
    exact = mean + rng.standard_normal((1, draws, datasets)) / np.sqrt(1 + size)
    right = arviz_file(tmp_path / "right.nc", labels, exact)
    metrics, result = judged(
        "--draws", right, "--truth", file, "--data", file, folder=tmp_path / "out"
    )
    assert metrics["verdict"]["outcome"] != "fail"
    assert "Nothing is known of the data" not in result.stderr
    assert metrics["parameters"]["theta"]["given_data"]
    assert {part["variable"] for part in metrics["by_context"]} <= {"members of x"}


def test_data_must_be_those_of_the_draws(tmp_path):
    draws, truth = posterior(datasets=4, draws=200)
    file = arviz_file(tmp_path / "d.nc", list("abcd"), draws.T[None])
    table = truths(tmp_path / "truth.csv", "abcd", theta=truth)
    for text, said in (
        ("dataset,x\na,1\nb,2\nc,3\n", "got none called d"),
        ("dataset,x\na,1\nb,2\nc,3\nd,4\ne,5\n", "got e, too"),
        ("dataset,theta\na,1\nb,2\nc,3\nd,4\n", "got nothing but parameters"),
        ("dataset,x\na,1\nb,2\nc,three\nd,4\n", "got 'three'"),
    ):
        (tmp_path / "data.csv").write_text(text)
        arguments = ("--draws", file, "--truth", table, "--data", tmp_path / "data.csv")
        result = abi("diagnose", *arguments, "-o", tmp_path / "out")
        assert result.exit_code == 4, result.stderr
        assert said in result.stderr
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ((), "Expected RUN, or --draws FILE with --truth FILE", 2),
        (("--draws", "draws.nc"), "Expected --truth FILE with --draws FILE", 2),
        (("run", "--draws", "d.nc", "--truth", "t.csv"), "got RUN, too", 2),
        (("--draws", "d.nc", "--draws", "9", "--truth", "t.csv"), "Expected --draws N", 2),
        (("--draws", "none.nc", "--truth", "t.csv"), "none.nc", 4),
    ],
)
def test_what_does_not_go_together_is_said(arguments, said, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = abi("diagnose", *arguments)
    assert result.exit_code == code, result.stderr
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_truths_of_other_data_sets_are_refused(tmp_path):
    draws, truth = posterior(datasets=4, draws=200)
    file = arviz_file(tmp_path / "d.nc", ["a", "b", "c", "d"], draws.T[None])
    for labels, columns, said in (
        ("abce", {"theta": truth}, "got none called d"),
        ("abcc", {"theta": truth}, "expected one value in all rows of data set c"),
        ("abcd", {"phi": truth}, "expected true values of theta; got"),
    ):
        table = truths(tmp_path / "truth.csv", labels, **columns)
        result = abi("diagnose", "--draws", file, "--truth", table, "-o", tmp_path / "out")
        assert result.exit_code == 4, result.stderr
        assert said in result.stderr


def test_damaged_files_are_refused(tmp_path):
    """Cut, overwritten in places, or with a variable of another layout."""
    draws, truth = posterior(datasets=4, draws=200)
    whole = arviz_file(tmp_path / "d.nc", list("abcd"), draws.T[None]).read_bytes()
    table = truths(tmp_path / "truth.csv", "abcd", theta=truth)
    rng = np.random.default_rng(0)
    damaged = [whole[:0], whole[:100], whole[: len(whole) // 2]]
    for _ in range(30):
        changed = np.frombuffer(whole, np.uint8).copy()
        changed[rng.integers(0, min(len(whole), 6_000), 12)] = rng.integers(0, 256, 12)
        damaged.append(changed.tobytes())
    codes = set()
    for content in damaged:
        (tmp_path / "bad.nc").write_bytes(content)
        result = abi(
            "diagnose",
            "--draws",
            tmp_path / "bad.nc",
            "--truth",
            table,
            "-o",
            tmp_path / "o",
            "--force",
        )
        assert result.exit_code in (0, 4), result.stderr
        codes.add(result.exit_code)
    assert 4 in codes


def test_options_of_a_run_are_not_ignored():
    for option in (("--jobs", 2), ("--backend", "jax"), ("--observed", "x.csv")):
        result = abi("diagnose", "--draws", "d.nc", "--truth", "t.csv", *option)
        assert result.exit_code == 2
        assert option[0] in result.stderr
