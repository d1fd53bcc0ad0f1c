"""Functions that change what is not theirs, or that give something else when they are called again.

`python -m tests.test_repeating` writes the transcript anew; read its diff before you commit it.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest

from abi_cli import workflow
from abi_cli.errors import UserFunctionError
from abi_cli.listener import Listener
from abi_cli.model.owning import kept, owned, private
from abi_cli.model.rehearsal import without_noise
from abi_cli.model.repeating import EVERY, UnrepeatableError, alike, repeated
from abi_cli.model.simulator import Simulator
from abi_cli.spec import InvalidSpecError, parse_spec
from abi_cli.variables import Ragged
from tests.cli import ANSCOMBE, SMALL, SPECS, abi
from tests.model_tasks import BATCHED, ONE_DRAW, assert_equal, simulator, train_rows

GOLDEN = Path(__file__).parent / "golden" / "repeating.txt"
HEAD = """
import random, time
import numpy as np
BUFFER, LAST, COUNT = np.zeros(5), [], [0]
"""
PRIOR = "def prior(rng): return {'mu': rng.normal()}\n"
CLEAN = "def likelihood(mu, rng): return {'y': rng.normal(mu, 1, size=5)}\n"

CASES = {
    "the same array every time": PRIOR + "def likelihood(mu, rng):\n"
    "    BUFFER[:] = rng.normal(mu, 1, size=5)\n    return {'y': BUFFER}\n",
    "results that are changed later": PRIOR + "def likelihood(mu, rng):\n"
    "    y = rng.normal(mu, 1, size=5)\n    if LAST: LAST[-1][:] = 0\n    LAST.append(y)\n"
    "    return {'y': y}\n",
    "the same dict every time": PRIOR + "OUT = {}\ndef likelihood(mu, rng):\n"
    "    OUT['y'] = rng.normal(mu, 1, size=5)\n    return OUT\n",
    "an argument that is changed": "def prior(rng): return {'mu': rng.normal(size=2)}\n"
    "def likelihood(mu, rng):\n    mu += 1\n    return {'y': rng.normal(mu[0], 1, size=5)}\n",
    "a counter": PRIOR + "def likelihood(mu, rng):\n    COUNT[0] += 1\n"
    "    return {'y': rng.normal(mu, 1, size=5) + COUNT[0]}\n",
    "a clock": PRIOR + "def likelihood(mu, rng):\n"
    "    return {'y': rng.normal(mu, 1, size=5) + time.time() % 1}\n",
    "entropy of the system": PRIOR + "def likelihood(mu):\n"
    "    return {'y': np.random.default_rng().normal(mu, 1, size=5)}\n",
    "a generator of the module": "RNG = np.random.default_rng(0)\n"
    + PRIOR
    + "def likelihood(mu):\n"
    "    return {'y': RNG.normal(mu, 1, size=5)}\n",
    "what is left of the row before": PRIOR + "def likelihood(mu, rng):\n"
    "    BUFFER[:] = 0.5 * BUFFER + rng.normal(mu, 1, size=5)\n    return {'y': BUFFER}\n",
    "masked values": PRIOR + "def likelihood(mu, rng):\n"
    "    y = np.ma.array(rng.normal(mu, 1, size=5), mask=[0, 0, 0, 0, 1])\n"
    "    y.data[4] = 999.0\n    return {'y': y}\n",
    "an empty array": PRIOR + "def likelihood(mu): return {'y': np.zeros(0)}\n",
    "default_rng(42)": PRIOR + "def likelihood(mu):\n"
    "    return {'y': mu + np.random.default_rng(42).normal(0, 0.1, 5)}\n",
    "RandomState(0)": PRIOR + "def likelihood(mu):\n"
    "    return {'y': mu + np.random.RandomState(0).normal(0, 0.1, 5)}\n",
    "random.seed(1)": PRIOR + "def likelihood(mu):\n    random.seed(1)\n"
    "    return {'y': [mu + random.gauss(0, 1) for _ in range(5)]}\n",
    "PCG64(7)": PRIOR + "def likelihood(mu):\n"
    "    return {'y': mu + np.random.Generator(np.random.PCG64(7)).normal(0, 0.1, 5)}\n",
    "no noise": PRIOR + "def likelihood(mu): return {'y': mu * np.arange(5.0)}\n",
}
"""Title → a model."""
SPEC = "name: case\nmodel: {prior: model.py:prior, likelihood: model.py:likelihood}\n"


def transcript(name: str) -> str:
    """What check and simulate say of a model, and how they end."""
    Path("model.py").write_text(HEAD + CASES[name])
    Path("spec.yaml").write_text(SPEC)
    lines = [f"=== {name}"]
    for arguments in (("check", "spec.yaml"), ("simulate", "spec.yaml", "-n", 6, "-j", 0)):
        result = abi(*arguments, "--progress", "none")
        found = re.findall(r"^(?:error|warning|ok): .*\n(?:  .*\n)?", result.stdout, re.MULTILINE)
        said = re.sub(r" in [\d.]+ s\b", " in … s", "".join(found) + result.stderr).rstrip()
        lines += [f"$ abi {' '.join(map(str, arguments))}", said, f"exit code {result.exit_code}"]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("name", CASES)
def test_a_function_that_misbehaves_is_met_as_the_transcript_says(name, tmp_path):
    sections = GOLDEN.read_text().split("\n=== ")
    expected = {text.removeprefix("=== ").partition("\n")[0]: text for text in sections}
    with chdir(tmp_path):
        said = transcript(name)
    assert said.removeprefix("=== ").strip() == expected[name].removeprefix("=== ").strip()


HARMLESS = list(CASES)[:3]


@pytest.mark.parametrize("name", HARMLESS)
def test_rows_are_those_of_a_function_that_shares_nothing(name, tmp_path):
    expected = train_rows(simulator(tmp_path, HEAD + PRIOR + CLEAN), 0, 9)
    assert_equal(train_rows(simulator(tmp_path, HEAD + CASES[name]), 0, 9), expected)


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
@pytest.mark.parametrize("change", ["beta[:] = 0", "if beta.flat[0] > 4: beta[:] = 0"])
def test_what_a_likelihood_does_to_its_arguments_stays_there(code, change, tmp_path):
    def spoilt(text: str) -> str:
        head, line, body = text.partition("    x = ")
        return f"{head}    y = beta.copy()\n    {change}\n    beta = y\n{line}{body}"

    expected = train_rows(simulator(tmp_path, code), 0, 60)
    assert_equal(train_rows(simulator(tmp_path, spoilt(code)), 0, 60), expected)


def test_context_that_the_prior_changes_reaches_the_likelihood_whole(tmp_path):
    code = """
import numpy as np
TIMES = np.arange(3.0)
def meta(): return {"t": TIMES}
def prior(t, rng):
    t -= t.mean()
    return {"mu": rng.normal()}
def likelihood(t, mu, rng): return {"x": mu + t + 1e-9 * rng.normal(size=3)}
"""
    data = train_rows(simulator(tmp_path, code, ragged=frozenset()), 0, 5)
    np.testing.assert_array_equal(data["t"], np.tile(np.arange(3.0), (5, 1)))
    np.testing.assert_allclose(data["x"] - data["mu"][:, None], data["t"], atol=1e-7)


def test_masked_values_are_missing_where_the_spec_says_so(tmp_path):
    code = HEAD + CASES["masked values"]
    data = train_rows(simulator(tmp_path, code, missing={"y": 0.0}, ragged=frozenset()), 0, 4)
    assert np.isnan(data["y"][:, 4]).all()
    assert np.isfinite(data["y"][:, :4]).all()


def test_copies_are_copies_of_every_kind():
    held = np.arange(3.0)
    for value in (held, [1.0, held], (held, held), np.ma.array(held)):
        for copied in (kept, private, lambda value: owned({"a": value})["a"]):
            copy, before = copied(value), held.copy()
            held += 1
            np.testing.assert_array_equal(copy[1] if len(copy) == 2 else copy, before)
    assert isinstance(private(np.ma.array(held)), np.ma.MaskedArray)
    np.testing.assert_array_equal(kept(np.ma.array([1, 2], mask=[0, 1])), [1.0, np.nan])
    np.testing.assert_array_equal(kept([1.0, np.ma.masked]), [1.0, np.nan])


def test_which_rows_are_simulated_again():
    assert repeated(0, 1) == [0]
    assert repeated(0, 100) == [64, 16, 4, 1, 0]
    assert repeated(5, 16) == []
    assert repeated(EVERY + 1, 2 * EVERY + 1) == [2 * EVERY]
    assert len(repeated(0, 100 * EVERY)) < 120


def test_rounding_is_no_difference_and_all_else_is():
    values = np.array([[1e8, 1.0], [np.nan, 2.0]])
    assert alike(values, values * (1 + 1e-9))
    assert not alike(values, values + np.array([[0, 0], [0, 1e-3]]))
    assert not alike(values, np.nan_to_num(values))
    assert not alike(np.array([10**9]), np.array([10**9 + 1]))
    sets = Ragged(np.arange(5.0), np.array([2, 0, 3]))
    assert alike(sets, Ragged(np.arange(5.0) + 1e-12, np.array([2, 0, 3])))
    assert not alike(sets, Ragged(np.arange(5.0), np.array([2, 1, 2])))
    assert not alike(sets, Ragged(np.array([0.0, 1, 2, 3, 5]), np.array([2, 0, 3])))


def test_a_row_on_its_own_is_simulated_again_after_another(tmp_path):
    code = (
        HEAD
        + PRIOR
        + (
            "def likelihood(mu, rng):\n    BUFFER[: rng.integers(1, 6)] = mu\n"
            "    return {'y': BUFFER}\n"
        )
    )
    model = simulator(tmp_path, code, ragged=frozenset())
    with pytest.raises(UnrepeatableError, match="y differs when row 16 is simulated again"):
        train_rows(model, 16, 17)


def test_a_result_more_than_in_the_first_row_is_refused(tmp_path):
    code = PRIOR + "def likelihood(mu): return {'y': mu} | ({'z': 1.0} if mu > 1 else {})\n"
    with pytest.raises(UserFunctionError, match=r"as in the first row; got y"):
        train_rows(simulator(tmp_path, code), 0, 40)


def test_a_variable_of_a_function_among_declared_ones_stays_as_it_was_returned(tmp_path):
    (tmp_path / "model.py").write_text(
        HEAD + "def a(rng):\n    BUFFER[:] = rng.normal(size=5)\n    return BUFFER\n"
        "def b(a, rng):\n    BUFFER[:] = 0\n    return a.sum() + rng.normal()\n"
        "def likelihood(a, b, rng): return {'y': rng.normal(b)}\n"
    )
    spec = parse_spec(
        "name: x\nmodel: {prior: {a: model.py:a, b: model.py:b}, likelihood: model.py:likelihood}"
    )
    assert train_rows(Simulator.from_spec(spec, tmp_path), 0, 3)["a"].all()


def test_what_cannot_be_repeated_is_not_drawn_again(tmp_path):
    model = simulator(tmp_path, HEAD + CASES["a counter"], max_failures=9, ragged=frozenset())
    with pytest.raises(UnrepeatableError, match="y differs when row 1 is simulated again"):
        train_rows(model, 0, 3)


@pytest.mark.parametrize("code", [ONE_DRAW, BATCHED], ids=["one draw", "batched"])
def test_noise_is_found(code, tmp_path):
    assert without_noise(simulator(tmp_path, code), seed=1) == ()
    fixed = code.replace("np.random.normal(size=N)", "np.random.default_rng(1).normal(size=N)")
    fixed = fixed.replace(
        "x = rng.normal", "import numpy as np; x = np.random.default_rng(1).normal"
    )
    # x is as it is for every parameter: times and the like may be; y still has noise of its own
    assert without_noise(simulator(tmp_path, fixed), seed=1) == ()
    bare = fixed.replace("sigma)", "0)").replace("sigma[:, None])", "0)")
    assert without_noise(simulator(tmp_path, bare), seed=1) == ("y",)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scale", [0.01, 1, 10])
def test_discrete_data_that_are_often_the_same_have_noise(scale, seed, tmp_path):
    code = HEAD + (
        f"def prior(rng): return {{'mu': {scale} * rng.normal()}}\n"
        "def likelihood(mu, rng): return {'y': float(rng.random() < 1 / (1 + np.exp(-mu)))}\n"
    )
    assert without_noise(simulator(tmp_path, code), seed=seed) == ()


class Heard(Listener):
    """Keeps the warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, text: str, *, hint: str | None = None) -> None:
        """Keep one."""
        self.warnings.append(f"{text} {hint}")


def test_a_model_may_say_that_it_has_no_noise(tmp_path):
    (tmp_path / "model.py").write_text(HEAD + CASES["no noise"])
    (tmp_path / "spec.yaml").write_text(SPEC)
    for said, warnings in (("[]", 1), ("[y]", 0)):
        overrides = [f"model.noise_free={said}"]
        found = workflow.check(tmp_path / "spec.yaml", overrides=overrides).warnings
        assert len([f for f in found if "noise" in f.message]) == warnings
        heard = Heard()
        target = workflow.Target(tmp_path / f"{warnings}.csv")
        workflow.simulate(
            tmp_path / "spec.yaml", datasets=3, overrides=overrides, target=target, listener=heard
        )
        assert len([text for text in heard.warnings if "noise_free: [y]" in text]) == warnings
    with pytest.raises(
        InvalidSpecError, match="Expected data that the likelihood draws, y; got mu"
    ):
        workflow.check(tmp_path / "spec.yaml", overrides=["model.noise_free=[mu]"])


def test_training_tells_of_fixed_noise_and_refuses_a_counter(tmp_path):
    with chdir(tmp_path):
        Path("spec.yaml").write_text(SPEC)
        Path("model.py").write_text(HEAD + CASES["default_rng(42)"])
        told = abi("train", "spec.yaml", "-o", "fixed", *SMALL)
        assert told.exit_code == 0, told.stderr
        assert "warning: y: the same for the same parameters" in told.stderr
        Path("model.py").write_text(HEAD + CASES["a counter"])
        refused = abi("train", "spec.yaml", "-o", "counted", *SMALL)
        assert refused.exit_code == 5
        assert "y differs when row 4 is simulated again" in refused.stderr
        assert not Path("counted").exists()


@pytest.mark.parametrize(
    "command", [("diagnose", "run", "--datasets", 5), ("predict", "run", ANSCOMBE)]
)
def test_commands_that_simulate_refuse_what_cannot_be_repeated(command, tmp_path):
    (tmp_path / "seen").mkdir()
    (tmp_path / "spec.yaml").write_text(
        (SPECS / "regression.yaml").read_text().replace("regression.py", "model.py")
    )
    # It counts once a mark is there: training sees nothing of it, and the code stays as it is.
    code = (SPECS / "regression.py").read_text()
    code += (
        "\nimport os\n\nCOUNT = [0]\n_honest = likelihood\n\n\ndef likelihood(beta, sigma, N):\n"
        "    COUNT[0] += os.path.exists('mark')\n    data = _honest(beta, sigma, N)\n"
        "    return data | {'y': data['y'] + COUNT[0]}\n"
    )
    (tmp_path / "model.py").write_text(code)
    with chdir(tmp_path):
        assert abi("train", "spec.yaml", "-o", "run", *SMALL).exit_code == 0
        Path("mark").touch()
        result = abi(*command, "-n", 5, "-j", 0)
        assert result.exit_code == 5, result.output
        assert re.search("y differs when (row|it is simulated again)", result.stderr)


def test_quantities_cannot_change_the_draws(tmp_path):
    (tmp_path / "model.py").write_text(
        HEAD + "def q(mu):\n    before = mu.sum()\n    mu[:] = 0\n    return before\n"
        "def r(mu, batch_size):\n    assert mu.all()\n    mu[:] = 0\n    BUFFER[:] += 1\n"
        "    return BUFFER[:batch_size]\n"
    )
    from abi_cli.model.quantities import Quantities

    functions = {"q": "model.py:q", "p": "model.py:q", "r": "model.py:r"}
    quantities = Quantities.load(functions, tmp_path)
    draws = {"mu": np.ones((3, 4, 2), np.float32)}
    values = quantities.of(draws, {"y": np.zeros((3, 1))})
    again = quantities.of(draws, {"y": np.zeros((3, 1))})
    np.testing.assert_array_equal(again["r"][:, 0], [4, 5, 6])
    np.testing.assert_array_equal(values["r"][:, 0], [1, 2, 3])
    assert (values["p"] == 2).all()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch, chdir(scratch):
        GOLDEN.write_text("\n".join(map(transcript, CASES)))
