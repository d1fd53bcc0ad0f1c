"""The dialect, the places of keys and values, and what YAML allows but a spec must not."""

from __future__ import annotations

import math

import pytest

from abi_cli.spec.problems import Code, InvalidSpecError, Source
from abi_cli.spec.reader import Document, read_document


def read(text: str) -> Document:
    return read_document(Source("spec.yaml", text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5e-4", 0.0005),
        ("1E5", 100000.0),
        ("-1e-3", -0.001),
        (".5", 0.5),
        ("5.", 5.0),
        ("-.inf", -math.inf),
        ("7", 7),
        ("+7", 7),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("NO", "NO"),
        ("yes", "yes"),
        ("off", "off"),
        ("y", "y"),
        ("N", "N"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("2024-01-01", "2024-01-01"),
        ("inf", "inf"),
        ("=", "="),
        ("'5e-4'", "5e-4"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("!!str 5", "5"),
    ],
)
def test_plain_text_means_what_the_core_schema_of_yaml_1_2_says(text, value):
    found = read(f"key: {text}\n").tree["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number():
    assert math.isnan(read("key: .nan").tree["key"])


TEXT = """\
name: β        # a comment
model:
  prior: 'm.py:prior'
adapter:
  - as_set: [x, yy]
  - {a: 1, b:
        2}
  -
empty:
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("name",), "name", "β"),
        (("model",), "model", "prior: 'm.py:prior'"),
        (("model", "prior"), "prior", "'m.py:prior'"),
        (("adapter", 0, "as_set"), "as_set", "[x, yy]"),
        (("adapter", 0, "as_set", 1), "yy", "yy"),
        (("adapter", 1), "{a: 1, b:", "{a: 1, b:"),
        (("adapter", 1, "b"), "b", "2"),
        (("empty",), "empty", "empty"),
        (("model", "nothing", "there"), "model", "prior: 'm.py:prior'"),
    ],
)
def test_every_key_and_value_has_its_place(path, key, value):
    document = read(TEXT)
    for position, expected in (
        (document.key_position(path), key),
        (document.value_position(path), value),
    ):
        line = TEXT.splitlines()[position.line - 1]
        assert line[position.column - 1 :][: position.width] == expected


def test_an_alias_has_the_places_of_its_anchor():
    document = read("a: &here [1, 2]\nb: *here\n")
    assert document.tree == {"a": (1, 2), "b": (1, 2)}
    assert str(document.value_position(("b", 1))) == "spec.yaml:1:14"


@pytest.mark.parametrize(
    ("text", "code", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", Code.KEY, "3:1", "'a' is given twice; the first time on line 1"),
        ("3: x\n", Code.KEY, "1:1", "Expected text as a key"),
        ("? [a]\n: x\n", Code.KEY, "1:3", "Expected text as a key"),
        ('"\\ud800": x\n', Code.KEY, "1:1", "surrogate"),
        ('a: "\\ud800"\n', Code.SYNTAX, "1:4", "surrogate"),
        ("a: !!python/name:os.system\n", Code.SYNTAX, "1:4", "'!!python/name:os.system'"),
        ("a: !mine {b: 1}\n", Code.SYNTAX, "1:4", "'!mine'"),
        ("a: !!int x\n", Code.SYNTAX, "1:4", "'!!int'"),
        ("a: !!str {}\n", Code.SYNTAX, "1:4", "'!!str'"),
        (f"a: {'9' * 5000}\n", Code.VALUE, "1:4", "5,000 digits"),
    ],
)
def test_reading_goes_on_after_a_problem(text, code, place, words):
    document = read(text + "last: here\n")
    (problem,) = document.problems
    assert problem.code is code
    assert str(problem.position) == f"spec.yaml:{place}"
    assert words in problem.message
    assert document.tree["last"] == "here"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a:\n\tb: 1\n", "2:1", "Indent with spaces"),
        ("a: m.py: prior\n", "1:8", "text that has ': ' in it in quotes"),
        ("a: [1, 2\nb: 3\n", "2:2", "Close the bracket"),
        ("a: [1, 2\n", "2:1", "Close the bracket"),
        ("a: 'x\n", "2:1", "Close the quote"),
        ("a: %x\n", "1:4", "in quotes"),
        ("a: *b\n", "1:4", "in quotes"),
        ("a: 1\n b: 2\n", "2:3", "one key to a line"),
        ("a:\n  b: 1\n c: 2\n", "3:2", "alike"),
        ("a: 1\n---\nb: 1\n", "2:1", "one spec to a file"),
        ('a: "\\UFFFFFFFF"\n', "1:7", "Expected YAML"),
        ("a: 1\nb: \x07\n", "2:4", "U+0007"),
        ("a: &a [*a]\n", "1:4", "alias of itself"),
        ("a: " + "[" * 100, "1:42", "levels of nesting"),
    ],
)
def test_what_cannot_be_read_on_is_one_problem(text, place, words):
    with pytest.raises(InvalidSpecError) as caught:
        read(text)
    (problem,) = caught.value.problems
    assert problem.code is Code.SYNTAX
    assert str(problem.position).startswith(f"spec.yaml:{place}")
    assert words in f"{problem.message} {problem.hint}"


def test_a_few_anchors_cannot_stand_for_billions():
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    with pytest.raises(InvalidSpecError, match="too many for a spec"):
        read("\n".join(lines))


def test_an_empty_text_is_an_empty_document():
    assert read("# only a comment\n").tree is None
