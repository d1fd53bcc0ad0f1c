"""Parts that others define: files beside a spec, and installed packages."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

import abi_cli
from abi_cli import registry, workflow
from abi_cli.errors import UsageError
from abi_cli.hashing import digest
from abi_cli.spec import InvalidSpecError, parse_spec
from tests.cli import abi

PARTS = '''
import numpy as np
from pydantic import Field

from abi_cli.adapter.maps import Bijection, Elementwise
from abi_cli.model.distribution import SIZE, Distribution, Positive, Size
from abi_cli.registry import Keys, part


@part("step", "cube_root", example="cube_root: x")
class CubeRoot(Elementwise):
    """Take the cube root."""

    keys: Keys = Field(description="Variables to take it of.")

    def variables(self):
        return self.keys

    def bijection(self):
        return Bijection(np.cbrt, lambda z: z**3, lambda x: -np.log(3) - 2 / 3 * np.log(np.abs(x)))


@part("distribution", "rayleigh", example="rayleigh: {scale: 2}")
class Rayleigh(Distribution):
    """Rayleigh: p = x / scale^2 exp(-x^2 / 2 scale^2)."""

    scale: Positive = Field(1.0, description="Mode.")
    size: Size = SIZE

    def draw(self, rng, o, size):
        return rng.rayleigh(o["scale"], size)

    def log_prob(self, x, o):
        return np.log(x) - 2 * np.log(o["scale"]) - x**2 / (2 * o["scale"] ** 2)

    def moments(self, o):
        return o["scale"] * np.sqrt(np.pi / 2), o["scale"] * np.sqrt(2 - np.pi / 2)

    def bounds(self, o):
        return 0.0, np.inf
'''
MODEL = """
def likelihood(mu, sigma, rng):
    return {"x": rng.normal(mu, sigma, size=8)}
"""
SPEC = """
name: own
use: [my_parts.py]
model:
  prior: {mu: normal, sigma: {rayleigh: {scale: 2}}}
  likelihood: model.py:likelihood
adapter:
  - as_set: x
  - cube_root: x
  - constrain: {keys: sigma, lower: 0}
  - concatenate: {keys: [mu, sigma], into: inference_variables}
  - rename: {from: x, to: summary_variables}
networks: {summary: deep_set}
training: {epochs: 1, num_batches: 4}
"""
DATA = "x\n1.5\n0.3\n-0.2\n1.1\n"


@pytest.fixture(scope="module", autouse=True)
def _ours_alone_afterwards():
    """Tests that follow in this process know no parts but those of the package."""
    yield
    for key, of in list(registry._parts.items()):
        if of.__module__.partition(".")[0] != "abi_cli":
            del registry._parts[key]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "my_parts.py").write_text(PARTS)
    (folder / "model.py").write_text(MODEL)
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "data.csv").write_text(DATA)
    trained = abi("train", folder / "spec.yaml", "-o", folder / "run", "--jobs", 2)
    assert trained.exit_code == 0, trained.output
    return folder


def test_a_spec_with_parts_of_its_own_is_checked(folder):
    checked = abi("check", folder / "spec.yaml")
    assert checked.exit_code == 0, checked.output
    assert "sigma rayleigh: mean 2.507" in checked.stdout
    assert "cube_root" in checked.stdout
    assert "my_parts.py" in checked.stdout


def test_a_run_keeps_them_and_needs_trust_to_use_them(folder, tmp_path):
    run = tmp_path / "elsewhere"
    shutil.copytree(folder / "run", run)
    assert (run / "code" / "my_parts.py").read_text() == PARTS
    assert "use:\n  - code/my_parts.py" in (run / "spec.yaml").read_text()
    marked = (
        run / "code" / "my_parts.py"
    ).read_text() + f"\nopen({str(run / 'ran')!r}, 'w').close()\n"
    (run / "code" / "my_parts.py").write_text(marked)
    refused = abi("sample", run, folder / "data.csv", "-n", 3)
    assert refused.exit_code == 3
    assert "E109" in refused.stderr
    assert "--trust-code" in refused.stderr
    assert abi("show", run).exit_code == 0
    assert not (run / "ran").exists()
    trusted = ("sample", run, folder / "data.csv", "-n", 3, "--format", "csv", "--trust-code")
    changed = abi(*trusted)
    assert changed.exit_code == 6
    assert "is not the code that this run was trained with" in changed.stderr
    assert not (run / "ran").exists()
    manifest = (run / "manifest.json").read_text()
    was = digest(folder / "run" / "code" / "my_parts.py")
    (run / "manifest.json").write_text(manifest.replace(was, digest(run / "code" / "my_parts.py")))
    sampled = abi(*trusted)
    assert sampled.exit_code == 0, sampled.output
    assert (run / "ran").exists()
    assert len(sampled.stdout.splitlines()) == 4
    with pytest.raises(InvalidSpecError):
        abi_cli.load(run)
    draws = abi_cli.load(run, trust_code=True).sample(folder / "data.csv", draws=3)
    assert (draws.values["sigma"] > 0).all()


def test_simulations_do_not_depend_on_the_number_of_processes(folder):
    one, two = (
        abi("simulate", folder / "spec.yaml", "-n", 40, "--jobs", jobs).stdout for jobs in (0, 2)
    )
    assert one == two
    assert len(one.splitlines()) > 40


def test_ours_cannot_be_shadowed(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    (tmp_path / "my_parts.py").write_text(PARTS.replace('"cube_root"', '"sqrt"'))
    (tmp_path / "spec.yaml").write_text(SPEC.replace("cube_root", "sqrt"))
    refused = abi("check", tmp_path / "spec.yaml")
    assert refused.exit_code == 5
    assert "'sqrt' is already defined" in refused.stderr


@pytest.mark.parametrize(
    ("use", "said"),
    [
        ("[no_parts.py]", "expected the file no_parts.py"),
        ("[model.py]", "expected parts in model.py; it defines none"),
        ("[my-parts]", "Expected a module as FILE.py or PACKAGE.MODULE"),
        ("my_parts.py", "Expected a list"),
    ],
)
def test_what_defines_no_parts_is_refused(use, said, folder):
    path = folder / "other.yaml"
    path.write_text(SPEC.replace("[my_parts.py]", use))
    refused = abi("check", path)
    assert refused.exit_code == 3
    assert said in refused.stderr


def test_text_alone_executes_nothing():
    with pytest.raises(InvalidSpecError, match="not executed here"):
        parse_spec(SPEC)


def test_parts_of_an_installed_package_go_by_its_name(tmp_path):
    """In a process of its own, where a package is installed that has an entry point."""
    (tmp_path / "psychparts.py").write_text(PARTS.replace("cube_root", "root"))
    info = tmp_path / "psychparts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: psychparts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[abi_cli.parts]\npsych = psychparts\n")
    script = (
        "import json\n"
        "from abi_cli import registry, workflow\n"
        "found = workflow.explain('psych.root')\n"
        "part = registry.from_config('distribution', {'psych.rayleigh': {'scale': 2}})\n"
        "print(json.dumps([found[0].name, part.to_config(), 'psych.root' in registry.names('step'),"
        " 'root' in registry.names('step')]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{tmp_path}:{':'.join(filter(None, sys.path))}"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        "psych.root",
        {"psych.rayleigh": {"scale": 2, "size": None}},
        True,
        False,
    ]
    assert "psych.root" not in registry.names("step")
    with pytest.raises(UsageError):
        workflow.explain("psych.root")
