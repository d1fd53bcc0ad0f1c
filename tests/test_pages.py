"""The manual: every page is a topic, links lead somewhere, commands and specs are read."""

from __future__ import annotations

import json
import re

import pytest
from typer.main import get_command

from abi_cli import registry, workflow
from abi_cli.cli import app
from abi_cli.completing import words
from abi_cli.console import Console
from abi_cli.spec import parse_spec
from abi_cli.spec.problems import Code
from abi_cli.workflow.explaining import spec_fields
from abi_cli.workflow.manual import topics
from tests.cli import ROOT, abi
from tests.documents import DOCUMENTS, PAGES, README, anchors, blocks, calls, links

by_name = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)


def text_of(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("topic", topics())
def test_no_topic_is_a_part_a_field_a_kind_or_a_code(topic):
    parts = {name for kind in registry.HOMES for name in registry.names(kind)}
    fields = {name for path in spec_fields() for name in (path, path.rpartition(".")[2])}
    codes = {code.value.lower() for code in Code}
    assert topic not in parts | fields | codes | set(registry.HOMES)
    assert re.fullmatch(r"[a-z][a-z-]*", topic)


def test_every_page_is_a_topic_and_links_from_the_readme_lead_to_all_of_them():
    assert {path.stem for path in PAGES} == set(topics())
    found, new = set(), {README}
    while new:
        found |= new
        targets = {
            (p.parent / t.partition("#")[0]).resolve() for p in new for t in links(text_of(p))
        }
        new = (targets & {*PAGES}) - found
    assert found >= {*PAGES}


@by_name
def test_links_and_pictures_lead_somewhere(path):
    for target in links(text_of(path)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.exists(), target
        assert ROOT in place.parents, target
        assert not anchor or anchor in anchors(place), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_pictures_are_made_by_commands_that_are_shown(path):
    shown = "\n".join(blocks(text_of(path), "console"))
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text_of(path)):
        name = picture.rpartition("/")[2]
        script = f"specs/pictures/{name.removesuffix('.png')}.py"
        assert f" -o {name}" in shown or script in shown, picture


@by_name
def test_commands_are_those_that_there_are(path):
    """Each is parsed as the command line would; what it names need not be there."""
    commands = get_command(app).commands
    for name, *rest in filter(None, calls(text_of(path))):
        if name.startswith("-"):
            continue
        command = commands[name]
        command.make_context(name, [*rest], resilient_parsing=False).close()


@by_name
def test_words_to_explain_are_explained(path):
    for word in re.findall(r"`abi explain ([\w.-]+)`", text_of(path)):
        if not word.isupper() or word.startswith("E"):  # WORD, TOPIC, NAME stand for others
            assert workflow.explain(word), word


@by_name
def test_whole_specs_are_read(path):
    for block in blocks(text_of(path), "yaml"):
        if block.startswith("name:"):
            parse_spec(block)


@by_name
def test_files_that_are_named_are_there(path):
    paths = set(re.findall(r"(?<![\w/])specs/[\w./-]+\w", text_of(path)))
    paths |= set(re.findall(r"(?<![\w/])(?:abi_cli|tests)/[\w./-]+\w", text_of(path)))
    paths.discard("abi_cli/pages/TOPIC.md")
    assert not [name for name in paths if not (ROOT / name).exists()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_pipe_gets_the_page_as_it_is(path):
    shown = abi("explain", path.stem)
    assert shown.exit_code == 0
    assert shown.stdout == text_of(path)
    assert text_of(path).startswith("# ")


def test_topics_are_listed_with_their_titles():
    shown = abi("explain").stdout
    document = json.loads(abi("explain", "--json").stdout)
    assert [page["topic"] for page in document["pages"]] == [*topics()]
    for page in workflow.pages():
        assert f"{page.title}\n" in shown
    page = json.loads(abi("explain", "verdict", "--json").stdout)
    assert page["schema"] == "abi.page/1"
    assert page["text"] == workflow.page("verdict").text


def test_a_misspelt_topic_is_answered_with_the_nearest_and_tab_completes_it():
    assert "Did you mean glossary?" in abi("explain", "glosary").stderr
    assert "verdict" in words("verd")


def test_on_a_terminal_links_are_commands(monkeypatch, capsys):
    from abi_cli.console import words as shown

    monkeypatch.setattr(Console, "interactive", True)
    page = workflow.page("verdict")
    assert "](remedies.md)" in page.text
    shown.show_explanation(Console(), page)
    out = " ".join(capsys.readouterr().out.split())
    assert "abi explain remedies" in out
    assert "](" not in out
    assert "```" not in out
