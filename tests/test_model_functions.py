"""Functions by reference: found, loaded, described, and refused with the remedy."""

import pickle
import sys

import numpy as np
import pytest

from abi_cli.errors import SpecError, UserFunctionError
from abi_cli.model.functions import UserFunction, loaded_files
from abi_cli.model.modules import user_modules

MODEL = """
import numpy as np

def prior(rng):
    return {"mu": rng.normal()}

def likelihood(mu, N, *, scale=1.0, batch_size=None, **rest):
    return {"x": np.zeros(N)}

def by_position(mu, /):
    return {}

table = {"mu": 1}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model.py").write_text(MODEL)
    return tmp_path


def call(function, *args):
    with user_modules(function.base_dir).at_hand():
        return function.function(*args)


def test_a_function_says_what_it_takes_and_where_it_is(folder):
    prior = UserFunction.load("model.py:prior", folder)
    assert (prior.arguments, prior.takes_rng, prior.batched) == (("rng",), True, False)
    assert prior.place == "model.py:4 prior"
    likelihood = UserFunction.load("model.py:likelihood", folder)
    assert likelihood.signature() == {"mu": True, "N": True, "scale": False, "batch_size": False}
    assert (likelihood.takes_rng, likelihood.batched) == (False, True)


def test_arguments_are_taken_by_name(folder):
    (folder / "model.py").write_text("def f(a, b=2, c=3, *, d): return (a, b, c, d)\n")
    function = UserFunction.load("model.py:f", folder)
    known = {"d": 40, "c": 30, "a": 10, "unused": 0}
    assert function.taking(("a", "c", "d"))(known) == (10, 2, 30, 40)


def test_a_function_of_a_package_is_found(folder):
    assert UserFunction.load("statistics:mean", folder).place.endswith(" mean")
    (folder / "models").mkdir()
    (folder / "models" / "__init__.py").touch()
    (folder / "models" / "one.py").write_text("from .two import f\n")
    (folder / "models" / "two.py").write_text("def f(): return 2\n")
    assert call(UserFunction.load("models.one:f", folder)) == 2
    names = [str(path.relative_to(folder)) for path in loaded_files(folder, ["models.one"])]
    assert names == ["models/__init__.py", "models/one.py", "models/two.py"]


def test_a_function_crosses_processes_as_its_reference(folder):
    prior = UserFunction.load("model.py:prior", folder)
    assert pickle.loads(pickle.dumps(prior)) == prior  # noqa: S301
    assert len(pickle.dumps(prior)) < 500


def test_folders_may_use_the_same_names(tmp_path):
    functions = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "helpers.py").write_text(f"number = {number}\n")
        (folder / "later.py").write_text(f"number = {number * 10}\n")
        (folder / "model.py").write_text(
            "from helpers import number\n"
            "def f():\n    from later import number as more\n    return number + more\n"
        )
        functions.append(UserFunction.load("model.py:f", folder))
    assert [call(function) for function in functions * 2] == [11, 22, 11, 22]
    assert not {"helpers", "later"} & set(sys.modules)
    assert [path.name for path in loaded_files(tmp_path / "1", ["model.py"])] == [
        "helpers.py",
        "later.py",
        "model.py",
    ]
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_file_may_be_called_like_a_module_that_others_need(tmp_path):
    (tmp_path / "queue.py").write_text("import queue\ndef f(): return 1\n")
    assert call(UserFunction.load("queue.py:f", tmp_path)) == 1
    import queue

    assert queue.Queue


def test_a_file_in_a_folder_below_imports_from_there_and_from_above(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "above.py").write_text("one = 1\n")
    (tmp_path / "code" / "beside.py").write_text("two = 2\n")
    (tmp_path / "code" / "model.py").write_text(
        "import above, beside\ndef f(): return above.one + beside.two\n"
    )
    assert call(UserFunction.load("code/model.py:f", tmp_path)) == 3


def test_a_changed_file_is_read_again(folder):
    (folder / "helpers.py").write_text("number = 1\n")
    (folder / "model.py").write_text("from helpers import number\ndef f(): return number\n")
    assert call(UserFunction.load("model.py:f", folder)) == 1
    (folder / "helpers.py").write_text("number = 22\n")
    assert call(UserFunction.load("model.py:f", folder)) == 22


def test_what_a_file_prints_is_not_data(folder, capsys):
    (folder / "model.py").write_text("print('importing')\ndef f(): pass\n")
    UserFunction.load("model.py:f", folder)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "importing\n")


def test_dataclasses_and_a_seed_may_stand_at_the_top_of_a_file(folder):
    (folder / "model.py").write_text(
        "from __future__ import annotations\nimport numpy as np\n"
        "from dataclasses import dataclass\n"
        "np.random.seed(1)\n@dataclass\nclass A:\n    b: int\ndef f(): return A(1).b\n"
    )
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert call(UserFunction.load("model.py:f", folder)) == 1
    np.random.set_state(("MT19937", before, 624, 0, 0.0))  # noqa: NPY002


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("modle.py:prior", ["expected the file modle.py", "Did you mean model.py?"]),
        ("model.py:priro", ["expected a function priro in model.py", "Did you mean prior?"]),
        ("model.py:zzz", ["It has prior, likelihood, by_position."]),
        ("model.py:table", ["got a dict"]),
        ("model.py:by_position", ["by position only", "Remove the /"]),
        ("no_such_package.part:f", ["there is no no_such_package"]),
        ("statistics.part:f", ["there is no statistics.part"]),
    ],
)
def test_what_is_not_there_is_an_error_of_the_spec(folder, reference, expected):
    with pytest.raises(SpecError) as caught:
        UserFunction.load(reference, folder)
    for text in expected:
        assert text in str(caught.value)


@pytest.mark.parametrize(
    ("code", "message", "frame"),
    [
        ("import numpy\n1 / 0\n", "raised ZeroDivisionError: division by zero", "model.py:2 in"),
        ("def f(:\n", "raised SyntaxError", "model.py:1\n    def f(:"),
        ("import nothing_here\n", "No module named 'nothing_here'", "model.py:1 in"),
        ("from helpers import f\n", "raised ValueError: deep", "helpers.py:1 in"),
        ("raise SystemExit(3)\n", "raised SystemExit: 3", "model.py:1 in"),
    ],
)
def test_a_file_that_raises_shows_its_own_frames(tmp_path, code, message, frame):
    (tmp_path / "helpers.py").write_text("raise ValueError('deep')\n")
    (tmp_path / "model.py").write_text(code)
    with pytest.raises(UserFunctionError, match="importing") as caught:
        UserFunction.load("model.py:f", tmp_path)
    assert message in caught.value.message
    assert caught.value.frames[-1].startswith(frame)
    assert not any("importlib" in line for line in caught.value.frames)
