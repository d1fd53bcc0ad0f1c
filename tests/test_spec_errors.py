"""What a person sees who made a mistake in a spec, to the letter.

`python -m tests.test_spec_errors` writes the transcript anew; read its diff before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from abi_cli.spec import InvalidSpecError, parse_spec
from abi_cli.spec.problems import MOST_SHOWN
from tests.toy_parts import SPEC, only_toy_parts

GOLDEN = Path(__file__).parent / "golden" / "spec_errors.txt"

MISTAKES = {
    "empty file": (SPEC, ""),
    "a table instead of a spec": (SPEC, "dataset,x,y\n1,0.5,2\n"),
    "a list instead of a spec": (SPEC, "- name: toy\n"),
    "misspelt field": ("epochs: 3", "epoch: 3"),
    "field in the wrong section": ("name: toy", "name: toy\nepochs: 3"),
    "field of the top level in a section": ("epochs: 3", "seed: 3"),
    "section misspelt": ("networks:", "network:"),
    "missing section": (SPEC[SPEC.index("model:") : SPEC.index("adapter:")], ""),
    "missing field": ("  prior: toy.py:prior\n", ""),
    "empty adapter": (
        SPEC[SPEC.index("adapter:") : SPEC.index("networks:")],
        "adapter: []\n",
    ),
    "misspelt step": ("- constrain:", "- constrian:"),
    "misspelt option": ("lower: 0", "lowr: 0"),
    "missing option": (", into: inference_variables", ""),
    "options not indented": (
        "  - constrain: {keys: sigma, lower: 0}",
        "  - constrain:\n    keys: sigma\n    lower: 0",
    ),
    "two steps in one item": ("- as_set: [x, y]", "- as_set: [x, y]\n    scale: x"),
    "bare value where two options are required": (
        "- concatenate: {keys: [beta, sigma], into: inference_variables}",
        "- concatenate: [beta, sigma]",
    ),
    "step without its option": ("- as_set: [x, y]", "- as_set"),
    "number instead of a step": ("- as_set: [x, y]", "- 3"),
    "nothing instead of a step": ("- as_set: [x, y]", "-"),
    "unknown network": ("coupling_flow", "flow_matching"),
    "list instead of a network": ("inference: coupling_flow", "inference: [coupling_flow]"),
    "number in quotes": ("epochs: 3", "epochs: '3'"),
    "number with separators": ("epochs: 3", "epochs: 1_000"),
    "fraction instead of a whole number": ("epochs: 3", "epochs: 1.5"),
    "whole number in scientific notation": ("epochs: 3", "epochs: 1e3"),
    "boolean instead of a number": ("epochs: 3", "epochs: true"),
    "number out of range": ("epochs: 3", "epochs: 0"),
    "infinity": ("lower: 0", "lower: -.inf"),
    "number too large": ("lower: 0", "lower: 1e999"),
    "word instead of a number": ("learning_rate: 5e-4", "learning_rate: fast"),
    "rate out of range": ("5e-4", "-5e-4"),
    "neither a number nor a list": ("by: 2", "by: two"),
    "wrong item of a list": ("by: 2", "by: [1, two]"),
    "yes instead of true": ("by: 2", "strict: yes"),
    "misspelt choice": ("lower: 0", "method: sofplus"),
    "number as a variable": ("as_set: [x, y]", "as_set: [x, 1]"),
    "list instead of a section": (SPEC[SPEC.index("training:") :], "training: [adam]\n"),
    "function without its name": ("toy.py:prior", "toy.py"),
    "function with a dot": ("toy.py:prior", "toy.py.prior"),
    "list instead of a prior": ("toy.py:prior", "[beta, sigma]"),
    "unknown distribution": ("toy.py:prior", "{beta: norml, sigma: normal}"),
    "option of a distribution": ("toy.py:prior", "{beta: normal, sigma: {normal: {sd: 1}}}"),
    "option that names nothing": (
        "  meta: toy.py:meta\n  prior: toy.py:prior",
        "  prior: {beta: {normal: {loc: sgma}}, sigma: normal}",
    ),
    "variables in a circle": (
        "toy.py:prior",
        "{beta: {normal: {loc: sigma}}, sigma: {normal: {loc: beta}}}",
    ),
    "parameter that is not declared": ("toy.py:prior", "{beta: normal}"),
    "space after the colon of a function": ("toy.py:prior", "toy.py: prior"),
    "design with a misspelt option": (
        "  prior: toy.py:prior",
        "  given: {file: design.csv, resmaple: true}\n  prior: toy.py:prior",
    ),
    "size of what is not resampled": (
        "  prior: toy.py:prior",
        "  given: {file: design.csv, resample: false, size: 3}\n  prior: toy.py:prior",
    ),
    "size that nothing draws": (
        "  meta: toy.py:meta",
        "  meta: {N: {normal: {}}}\n  given: {file: design.csv, size: M}",
    ),
    "neither a function nor a design": ("  meta: toy.py:meta", "  given: design.csv"),
    "no model and no observables": (
        SPEC[SPEC.index("model:") : SPEC.index("parameters:")],
        "",
    ),
    "density of a prior without one of data": (
        "  prior: toy.py:prior",
        "  prior: toy.py:prior\n  log_prior: toy.py:log_prior",
    ),
    "density of a prior that is declared": (
        "  prior: toy.py:prior",
        "  prior: {beta: normal, sigma: normal}\n  log_likelihood: toy.py:log_likelihood\n"
        "  log_prior: toy.py:log_prior",
    ),
    "context and parameter": ("adapter:", "context: {sigma: {}}\nadapter:"),
    "name that can't be a folder's": ("name: toy", "name: toy/one"),
    "reserved variable": ("  sigma: {labels: σ}", "  draw: {labels: σ}"),
    "keyword as variable": ("  sigma: {labels: σ}", "  lambda: {labels: σ}"),
    "variable with a dash": ("  sigma: {labels: σ}", "  sigma-y: {labels: σ}"),
    "empty label": ("labels: σ", "labels: ['']"),
    "kind of observable": ("adapter:", "observables: {x: {kind: sets}}\nadapter:"),
    "observable and parameter": ("adapter:", "observables: {beta: {kind: set}}\nadapter:"),
    "fixed and a set": ("adapter:", "observables:\n  x:\n    kind: fixed\nadapter:"),
    "key given twice": ("  epochs: 3", "  epochs: 3\n  epochs: 4"),
    "key that is no text": ("name: toy", "name: toy\n1: one"),
    "tag": ("name: toy", "name: !!python/name:os.system toy"),
    "tab": ("  epochs: 3", "\tepochs: 3"),
    "open bracket": ("as_set: [x, y]", "as_set: [x, y"),
    "uneven indentation": ("  epochs: 3", "   epochs: 3"),
}
"""Mistake → what in the spec of toy parts is replaced by what."""

OVERRIDES = {
    "override without a value": "training.epochs",
    "override of an unknown field": "training.epoch=5",
    "override of the wrong type": "training.epochs=many",
    "override with nothing": "training.epochs=",
    "override below a number": "training.epochs.x=5",
    "override of a step that isn't there": "adapter.9.as_set=x",
    "override of a step by name": "adapter.as_set=x",
    "override without the name of the part": "networks.summary.summary_dim=3",
    "override of an option of another part": "training.optimizer.sgd.momentum=0.9",
    "override that is no YAML": "adapter.0.as_set.keys=[x, y",
    "override far to the right": f"adapter.1.constrain.keys=[{', '.join(['sigma'] * 30)}, 3, x]",
}


def mistake(title: str) -> str:
    """The message for a mistake."""
    text, overrides = SPEC, []
    if title in OVERRIDES:
        overrides = [OVERRIDES[title]]
    else:
        before, after = MISTAKES[title]
        assert before in SPEC
        text = SPEC.replace(before, after, 1)
    with only_toy_parts(), pytest.raises(InvalidSpecError) as caught:
        parse_spec(text, source="toy.yaml", overrides=overrides)
    return str(caught.value)


def transcript() -> str:
    """Every mistake under its title, with its message."""
    return "".join(f"=== {title}\n{mistake(title)}\n\n" for title in [*MISTAKES, *OVERRIDES])


@pytest.mark.parametrize("title", [*MISTAKES, *OVERRIDES])
def test_mistakes_are_told_to_the_letter(title):
    golden = dict(
        section.rstrip("\n").split("\n", 1)
        for section in GOLDEN.read_text(encoding="utf-8").split("=== ")[1:]
    )
    assert mistake(title) == golden[title]


def broken(text: str, *overrides: str) -> InvalidSpecError:
    with only_toy_parts(), pytest.raises(InvalidSpecError) as caught:
        parse_spec(text, source="toy.yaml", overrides=overrides)
    return caught.value


def test_all_problems_are_told_at_once_in_the_order_of_the_file_and_then_of_the_overrides():
    text = (
        SPEC.replace("lower", "lowr")
        .replace("epochs: 3", "epochs: three\n  epochs: 4")
        .replace("name: toy", "name: toy\nnmae: toy")
        .replace("coupling_flow", "couplin_flow")
    )
    error = broken(text, "training.batch_size=x", "seed", "training.num_batches=y")
    assert [problem.concise() for problem in error.problems] == [
        "toy.yaml:2:1: E103 unknown field 'nmae' of the spec",
        "toy.yaml:12:30: E103 unknown option 'lowr' of constrain",
        "toy.yaml:18:14: E104 unknown inference network 'couplin_flow'",
        "toy.yaml:20:11: E106 Expected a whole number; got the text 'three'",
        "toy.yaml:21:3: E102 'epochs' is given twice; the first time on line 20",
        "-s:1:1: E108 Expected FIELD=VALUE; got 'seed'",
        "-s:1:22: E106 Expected a whole number; got the text 'y'",
        "-s:1:21: E106 Expected a whole number; got the text 'x'",
    ]
    assert str(error).startswith("8 problems in toy.yaml\n\nE103: unknown field 'nmae'")
    assert error.exit_code == 3


def test_a_mistake_behind_an_anchor_is_told_once():
    text = SPEC.replace("as_set: [x, y]", "as_set: {keys: &keys [x, 1]}").replace(
        "scale: {keys: [x, y], by: 2}", "scale: {keys: *keys, by: 2}"
    )
    assert len(broken(text).problems) == 1


def test_what_cannot_be_read_is_not_called_missing_too():
    text = SPEC.replace("prior: toy.py:prior", "prior: !fn toy.py:prior")
    assert [problem.code for problem in broken(text).problems] == ["E101"]


def test_more_problems_than_anyone_reads_are_counted():
    text = SPEC + "".join(f"field{i}: {i}\n" for i in range(30))
    error = broken(text)
    assert len(error.problems) == 30
    assert str(error).count("-->") == MOST_SHOWN
    assert "\n… and 10 more\n" in str(error)


def test_carets_stand_below_wide_characters_and_nothing_steers_the_terminal():
    text = SPEC.replace("labels: σ", 'labels: [回帰, 3, "\x9b2J"]').replace("\x9b", "\u200b")
    (problem,) = broken(text).problems
    line, carets = problem.render().splitlines()[3:5]
    assert "\u200b" not in line
    before = line[: line.index("3,")]
    assert carets.index("^") == len(before) + 2  # two characters, four columns


if __name__ == "__main__":
    GOLDEN.write_text(transcript(), encoding="utf-8")
