"""What check says of priors that functions draw: bounds, simplices, order, ties, what is unused.

`python -m tests.test_prior` writes the transcript anew; read its diff before you commit it.
"""

from __future__ import annotations

import re
import tempfile
from contextlib import chdir
from pathlib import Path

import pytest

from abi_cli.spec import parse_spec
from tests.cli import abi

GOLDEN = Path(__file__).parent / "golden" / "prior.txt"
HEAD = "import numpy as np\n"

CASES = {
    "bounds on either side": (
        'def prior(rng): return {"tau": rng.uniform(200, 400), "phi": rng.uniform(-np.pi, np.pi)}\n'
        'def like(tau, phi, rng): return {"y": rng.normal([tau, phi], [40, 1])}\n'
    ),
    "a bound at 0": (
        'def prior(rng): return {"s": rng.exponential(3)}\n'
        'def like(s, rng): return {"y": rng.normal(0, s, 4)}\n'
    ),
    "bounds that are not round": (
        'def prior(rng): return {"a": rng.uniform(0.7182, 5.4366)}\n'
        'def like(a, rng): return {"y": rng.normal(a, 1, 4)}\n'
    ),
    "elements with bounds of their own": (
        'def prior(rng): return {"a": rng.uniform([0, 200], [1, 400])}\n'
        'def like(a, rng): return {"y": rng.normal(a, 1)}\n'
    ),
    "a simplex": (
        'def prior(rng): return {"w": rng.dirichlet([2, 2, 2])}\n'
        'def like(w, rng): return {"k": rng.multinomial(20, w)}\n'
    ),
    "ascending thresholds": (
        'def prior(rng): return {"c": np.sort(rng.normal(size=3))}\n'
        'def like(c, rng): return {"y": rng.normal(c, 1)}\n'
    ),
    "a share and what is left": (
        'def prior(rng): p = rng.beta(2, 2); return {"p": p, "q": 1 - p}\n'
        'def like(p, q, rng): return {"k": float(rng.binomial(50, p))}\n'
    ),
    "a sum of others": (
        'def prior(rng): a, b = rng.normal(size=2); return {"a": a, "b": b, "c": 2 * a - b + 1}\n'
        'def like(a, b, c, rng): return {"y": rng.normal([a, b, c], 1)}\n'
    ),
    "the same on another scale": (
        'def prior(rng): a = rng.normal(); return {"a": a, "b": np.exp(a)}\n'
        'def like(a, b, rng): return {"y": rng.normal(a, 1, 4)}\n'
    ),
    "what nothing takes": (
        'def prior(rng): return {"a": rng.normal(), "b": rng.normal(), "c": rng.normal()}\n'
        'def like(b, rng): return {"y": rng.normal(b, 1, 4)}\n'
    ),
    "what others are drawn by": (
        "def prior(rng):\n"
        "    mu, tau = rng.normal(), np.exp(rng.normal())\n"
        '    return {"mu": mu, "logtau": np.log(tau), "theta": rng.normal(mu, tau, 5)}\n'
        'def like(theta, rng): return {"y": rng.normal(theta, 1)}\n'
    ),
    "nothing but normals": (
        'def prior(rng): return {"a": rng.normal(3.3, 1), "b": rng.normal(size=2)}\n'
        'def like(a, b, rng): return {"y": rng.normal(a + b.sum(), 1, 4)}\n'
    ),
}
"""Title → a model."""

SPEC = "name: case\nmodel: {prior: model.py:prior, likelihood: model.py:like}\n"


def said(*arguments: object) -> list[str]:
    """A command and what it finds."""
    result = abi("check", *arguments, "--progress", "none")
    found = re.findall(r"^(?:error|warning): .*\n(?:  .*\n)*", result.stdout, re.MULTILINE)
    shown = " ".join(map(str, ("check", *arguments)))
    return [f"$ abi {shown}", *"".join(found).splitlines(), f"exit code {result.exit_code}"]


def transcript(name: str) -> str:
    """What check says of a model, with the adapter derived and with one that knows no bounds."""
    Path("model.py").write_text(HEAD + CASES[name])
    Path("derived.yaml").write_text(SPEC)
    filled = abi("fill", "derived.yaml")
    assert filled.exit_code == 0, filled.output
    steps = re.split(
        r"(?m)^(?=  - )", filled.stdout.partition("\nadapter:")[2].partition("\nnet")[0]
    )
    kept = [s for s in steps[1:] if not s.startswith(("  - constrain", "  - as_"))]
    Path("written.yaml").write_text(SPEC + "adapter:\n" + "".join(kept))
    lines = [f"=== {name}", *said("derived.yaml"), *said("written.yaml")]
    return "\n".join([*lines, ""])


@pytest.mark.parametrize("name", CASES)
def test_priors_are_met_as_the_transcript_says(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert transcript(name) in GOLDEN.read_text("utf-8")


def test_what_is_filled_in_is_not_told_again(tmp_path):
    """Somebody has seen it then; and it means what was derived."""
    (tmp_path / "model.py").write_text(HEAD + CASES["a simplex"])
    (tmp_path / "spec.yaml").write_text(SPEC)
    filled = abi("fill", tmp_path / "spec.yaml")
    assert "as_simplex" in [step.name for step in parse_spec(filled.stdout).adapter]
    (tmp_path / "spec.yaml").write_text(filled.stdout)
    assert abi("check", tmp_path / "spec.yaml", "--strict").exit_code == 0


def write() -> None:
    """The transcript."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        texts = [transcript(name) for name in CASES]
    GOLDEN.write_text("\n".join(texts), "utf-8")


if __name__ == "__main__":
    write()
