"""Summaries of Markov chains: by what their draws are worth, where that can be known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from abi_cli.data.statistics import looks_like_a_chain
from tests.cli import ANSCOMBE, abi

DRAWS, CHAINS, ALONG = 1_000, 4, 0.9
WORTH = CHAINS * DRAWS * (1 - ALONG) / (1 + ALONG)
"""Independent draws that an autoregressive chain of order one is worth."""


@pytest.fixture(scope="module")
def chains():
    """Stationary chains with correlation `ALONG`, `(chain, draw)`."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(CHAINS, DRAWS))
    for k in range(1, DRAWS):
        values[:, k] = ALONG * values[:, k - 1] + np.sqrt(1 - ALONG**2) * values[:, k]
    return values


def table(path, chains, *, column="chain,"):
    lines = [f"dataset,{column}draw,mu"]
    for c, chain in enumerate(chains, start=1):
        for k, value in enumerate(chain):
            number = f"{c},{k}" if column else f"{(c - 1) * len(chain) + k}"
            lines.append(f"A,{number},{value}")
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    return path


def netcdf(path, chains):
    import xarray

    posterior = xarray.Dataset(
        {"mu": (("chain", "draw"), chains)},
        {"chain": range(len(chains)), "draw": range(chains.shape[1])},
    )
    posterior.to_netcdf(path, group="posterior", engine="h5netcdf")
    return path


@pytest.mark.parametrize(("write", "name"), [(table, "draws.csv"), (netcdf, "draws.nc")])
def test_the_monte_carlo_error_counts_autocorrelation(write, name, chains, tmp_path):
    result = abi("summary", write(tmp_path / name, chains), "--json")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    (row,) = json.loads(result.stdout)["rows"]
    assert row["ess"] == pytest.approx(WORTH, rel=0.4)
    assert row["mcse"] == pytest.approx(row["sd"] / np.sqrt(row["ess"]), rel=1e-3)
    assert row["mean"] == pytest.approx(chains.mean(), abs=1e-5)


def test_chains_that_do_not_say_so_are_told_of(chains, tmp_path):
    result = abi("summary", table(tmp_path / "draws.csv", chains, column=""), "--json")
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: draws are taken as independent, but those of mu follow each other as in a "
        "Markov chain: then mcse is too small\n"
        "In netCDF of ArviZ, or with a column chain, their autocorrelation is counted.\n"
    )
    (row,) = json.loads(result.stdout)["rows"]
    assert row["mcse"] == pytest.approx(row["sd"] / np.sqrt(CHAINS * DRAWS), rel=1e-6)


def test_independent_draws_look_like_none():
    rng = np.random.default_rng(1)
    assert not any(looks_like_a_chain(rng.normal(size=(50, 200))) for _ in range(50))
    assert not looks_like_a_chain(np.arange(20.0)[None])
    assert not looks_like_a_chain(np.ones((1, 100)))
    assert looks_like_a_chain(np.arange(100.0)[None])


def test_chains_of_different_length_are_refused(tmp_path):
    rows = ["A,1,0,1", "A,1,1,2", "A,1,2,2", "A,2,0,3"]
    (tmp_path / "d.csv").write_text("\n".join(["dataset,chain,draw,mu", *rows]) + "\n")
    result = abi("summary", tmp_path / "d.csv")
    assert result.exit_code == 4
    assert (
        f"{tmp_path / 'd.csv'}, column chain: expected as many draws of each of 2 chains"
        in result.stderr
    )


def test_weights_are_refused(chains, tmp_path):
    import xarray

    both = {name: (("chain", "draw"), abs(chains)) for name in ("mu", "weight")}
    xarray.Dataset(both).to_netcdf(tmp_path / "d.nc", group="posterior", engine="h5netcdf")
    result = abi("summary", tmp_path / "d.nc")
    assert result.exit_code == 4
    assert "expected draws that count alike; got weight" in result.stderr


def test_labels_come_with_the_file_or_from_the_run(small_run, tmp_path):
    for name, more in (("d.nc", ()), ("d.csv", ("--run", small_run))):
        assert abi("sample", small_run, ANSCOMBE, "-n", 20, "-o", tmp_path / name).exit_code == 0
        shown = abi("summary", tmp_path / name, *more, "--format", "markdown").stdout
        assert "| I | β₀ (beta\\[0]) |" in shown.replace("(beta[0])", "(beta\\[0])"), shown
    plain = abi("summary", tmp_path / "d.csv", "--format", "markdown").stdout
    assert "β₀" not in plain
