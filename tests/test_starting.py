"""From nothing to a spec: init, fill, schema, and the adapter that is left out."""

import json

import jsonschema
import pytest
import yaml

from abi_cli.spec import commented_spec, json_schema, parse_spec, read_spec
from abi_cli.spec.dialect import RESOLVERS
from tests.cli import ANSCOMBE, SMALL, SPECS, abi
from tests.test_spec_errors import MISTAKES
from tests.toy_parts import SPEC, only_toy_parts

SHIPPED = sorted(SPECS.glob("*.yaml"))

EXPRESSIBLE = (
    "a list instead of a spec",
    "misspelt field",
    "field in the wrong section",
    "section misspelt",
    "missing field",
    "empty adapter",
    "misspelt step",
    "misspelt option",
    "missing option",
    "step without its option",
    "number instead of a step",
    "unknown network",
    "number in quotes",
    "fraction instead of a whole number",
    "boolean instead of a number",
    "number out of range",
    "word instead of a number",
)
"""Mistakes that need no knowledge of the rest of the spec."""


class Loader(yaml.SafeLoader):
    """Reads scalars as specs do."""

    yaml_implicit_resolvers = RESOLVERS


Loader.add_constructor("tag:yaml.org,2002:float", lambda _, node: float(node.value))


def objections(schema, text):
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    return [error.message for error in validator.iter_errors(yaml.load(text, Loader))]  # noqa: S506


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_json_schema_accepts_what_is_shipped(path):
    assert objections(json_schema(), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "template", ["means", "regression", "counts", "choices", "series", "survival", "groups"]
)
def test_every_template_is_checked_trained_and_sampled(template, tmp_path):
    folder = tmp_path / "trial"
    started = abi("init", folder, "--template", template)
    assert started.exit_code == 0, started.output
    spec = folder / "trial.yaml"
    assert objections(json_schema(), spec.read_text(encoding="utf-8")) == []
    checked = abi("check", spec, "--strict")
    assert checked.exit_code == 0, checked.output
    trained = abi("train", spec, "-o", tmp_path / "run", *SMALL)
    assert trained.exit_code == 0, trained.output
    simulated = abi("simulate", spec, "-n", 2, "-o", tmp_path / "data.csv")
    assert simulated.exit_code == 0, simulated.output
    sampled = abi("sample", tmp_path / "run", tmp_path / "data.csv", "-n", 3, "--format", "csv")
    assert sampled.exit_code == 0, sampled.output
    assert len(sampled.stdout.splitlines()) == 7


def test_templates_that_are_none_are_refused(tmp_path):
    refused = abi("init", tmp_path / "trial", "--template", "regresion")
    assert refused.exit_code == 2
    assert "Expected a template; got 'regresion'" in refused.stderr
    assert "Did you mean 'regression'? Templates: choices, counts, groups" in refused.stderr
    both = abi("init", tmp_path / "trial", "--template", "counts", "--from", ANSCOMBE)
    assert both.exit_code == 2
    assert "got both" in both.stderr
    assert not (tmp_path / "trial").exists()


@pytest.mark.parametrize("title", EXPRESSIBLE)
def test_the_json_schema_refuses_what_it_can_express(title):
    before, after = MISTAKES[title]
    with only_toy_parts():
        schema = json_schema()
        assert objections(schema, SPEC) == []
        assert objections(schema, SPEC.replace(before, after, 1))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_filled_spec_means_the_same(path):
    spec = read_spec(path)
    text = commented_spec(spec)
    assert parse_spec(text) == spec
    assert all(len(line) <= 100 for line in text.splitlines() if "#" not in line.lstrip()[:1])


def test_every_field_of_a_filled_spec_is_explained():
    text = commented_spec(read_spec(SPECS / "tutorial.yaml"))
    lines = text.splitlines()
    bare = [
        line
        for before, line in zip(["", *lines], lines, strict=False)
        if ":" in line and "#" not in line and not before.lstrip().startswith("#")
    ]
    assert [line.split(":")[0].strip() for line in bare] == ["beta", "sigma"]  # the user's own


def test_init_writes_what_trains_as_it_is(tmp_path):
    folder = tmp_path / "trial"
    started = abi("init", folder, "--from", ANSCOMBE, "--json")
    assert started.exit_code == 0, started.output
    document = json.loads(started.stdout)
    assert document["columns"] == ["x", "y"]
    assert document["datasets"] == 4
    assert document["members"] == [6, 22]
    spec = folder / "trial.yaml"
    assert (
        objections(
            json.loads((folder / "spec.schema.json").read_text(encoding="utf-8")),
            spec.read_text(encoding="utf-8"),
        )
        == []
    )
    assert abi("check", spec).exit_code == 0
    trained = abi("train", spec, "-o", tmp_path / "run", *SMALL)
    assert trained.exit_code == 0, trained.output
    assert abi("sample", tmp_path / "run", ANSCOMBE, "-n", 10).exit_code == 0


def test_init_overwrites_nothing(tmp_path):
    folder = tmp_path / "trial"
    assert abi("init", folder).exit_code == 0
    (folder / "trial.py").write_text("mine", encoding="utf-8")
    again = abi("init", folder)
    assert again.exit_code == 74
    assert "is there already" in again.stderr
    assert (folder / "trial.py").read_text(encoding="utf-8") == "mine"
    assert abi("init", folder, "--force").exit_code == 0
    assert (folder / "trial.py.bak").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("header", ["dataset,lambda\nI,1\n", "dataset,batch_size\nI,1\n"])
def test_init_refuses_columns_that_no_function_can_take(tmp_path, header):
    table = tmp_path / "table.csv"
    table.write_text(header, encoding="utf-8")
    done = abi("init", tmp_path / "trial", "--from", table)
    assert done.exit_code == 4
    assert "row 1" in done.stderr
    assert not (tmp_path / "trial").exists()


FACTORS = """\
"","Subject",condition,day,rt,se
"1","007",EASY,1,0.5,0.1
"2","007",HARD,2,0.9,0.1
"3","007",EASY,3,0.4,0.2
"4","7",HARD,1,NA,0.2
"5","7",EASY,2,0.7,0.1
"""
DATED = "date,y\n2024-01-02,1\n2024-01-01,3\n2024-02-01,2\n"


def test_init_sees_labels_words_and_what_comes_with_the_data(tmp_path):
    (tmp_path / "data.csv").write_text(FACTORS, encoding="utf-8")
    started = abi("init", tmp_path / "trial", "--from", tmp_path / "data.csv", "--json")
    assert started.exit_code == 0, started.output
    document = json.loads(started.stdout)
    assert document["columns"] == ["rt"]
    assert document["given"] == ["condition", "day", "se"]
    assert document["label"] == "Subject"
    assert document["datasets"] == 2
    spec = read_spec(tmp_path / "trial" / "trial.yaml")
    assert spec.data.dataset == "Subject"
    assert spec.data.categories == {"condition": ("EASY", "HARD")}
    assert spec.missing == {"rt": (0.0, 0.6)}  # half of those of subject 7 are
    checked = abi("check", tmp_path / "trial" / "trial.yaml")
    assert checked.exit_code == 0, checked.output


def test_init_takes_dates_for_times(tmp_path):
    (tmp_path / "data.csv").write_text(DATED, encoding="utf-8")
    started = abi("init", tmp_path / "trial", "--from", tmp_path / "data.csv")
    assert started.exit_code == 0, started.output
    assert "steps in the order of date" in started.stderr
    spec = read_spec(tmp_path / "trial" / "trial.yaml")
    assert spec.times() == {"y": "date"}
    checked = abi("check", tmp_path / "trial" / "trial.yaml")
    assert checked.exit_code == 0, checked.output


def test_init_asks_for_something_to_draw(tmp_path):
    (tmp_path / "data.csv").write_text("dataset,condition\n1,EASY\n1,HARD\n", encoding="utf-8")
    refused = abi("init", tmp_path / "trial", "--from", tmp_path / "data.csv")
    assert refused.exit_code == 4
    assert "expected columns of numbers for a model to draw" in refused.stderr


def test_columns_of_names_are_left_out_and_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [f"car {i},{i % 7 + 0.5}" for i in range(30)]
    (tmp_path / "cars.csv").write_text("\n".join(["car,mpg", *rows]) + "\n")
    begun = abi("init", "a", "--from", "cars.csv")
    assert begun.exit_code == 0, begun.output
    assert "car left out, as names" in begun.stderr + begun.stdout
    assert "car" not in (tmp_path / "a" / "a.py").read_text()
    document = abi("init", "b", "--from", "cars.csv", "--json")
    assert json.loads(document.stdout)["names"] == ["car"]


KINDS = """\
who,rate,wait,visits,share,agree,dose,arm
a,5.1,0.2,0,0.31,1,1.5,drug
a,-2.2,0.5,2,0.42,0,2.5,placebo
a,3.3,7.5,1,0.13,1,3.5,drug
b,1.4,0.3,4,0.74,1,4.5,drug
b,-0.5,0.4,3,0.25,0,5.5,placebo
b,2.6,0.6,0,0.66,0,6.5,other
"""
MADE_OF = {
    "rate": "normal",
    "wait": "log-normal",
    "visits": "negative binomial",
    "share": "beta",
    "agree": "Bernoulli",
}


def begun(tmp_path, text, *options):
    """The folder of a first model of a table; the model is checked, its density, too."""
    (tmp_path / "data.csv").write_text(text, encoding="utf-8")
    done = abi("init", tmp_path / "trial", "--from", tmp_path / "data.csv", *options)
    assert done.exit_code == 0, done.output
    checked = abi("check", tmp_path / "trial" / "trial.yaml")
    assert checked.exit_code == 0, checked.output
    assert "is not the density" not in checked.stderr
    return done.stderr, (tmp_path / "trial" / "trial.py").read_text(encoding="utf-8")


def test_columns_have_distributions_of_their_kinds(tmp_path):
    said, _ = begun(tmp_path, KINDS)
    for column, kind in MADE_OF.items():
        assert f"{column} {kind}" in said
    assert "dose, arm given; data sets by who" in said


@pytest.mark.parametrize("outcome", MADE_OF)
def test_an_outcome_is_regressed_on_the_others(tmp_path, outcome):
    said, code = begun(tmp_path, KINDS, "--outcome", outcome)
    assert f"{outcome} {MADE_OF[outcome]}; 2 to 6 rows" in said
    spec = read_spec(tmp_path / "trial" / "trial.yaml")
    others = {*MADE_OF, "dose"} - {outcome}
    assert {f"{name}_slope" for name in others} < set(spec.model.prior)
    assert "arm_effect" in spec.model.prior
    assert "dose_slope * (dose - 4.0)" in code
    assert "np.insert(arm_effect, 0, 0)[arm.astype(int)]" in code


def test_columns_that_lack_values_explain_no_outcome(tmp_path):
    lacking = KINDS.replace("a,5.1,0.2", "a,,0.2")
    said, code = begun(tmp_path, lacking, "--outcome", "agree")
    assert "rate left out, as values are missing" in said
    assert "rate" not in code.split("def ", 1)[1]
    (tmp_path / "again").mkdir()
    said, code = begun(tmp_path / "again", lacking, "--outcome", "rate")
    assert "np.where(np.isnan(rate), 0, " in code


def test_an_estimate_has_its_standard_error(tmp_path):
    rows = [f"study {i},{i % 5 - 2.5},{0.1 + i % 4 / 10}" for i in range(12)]
    said, code = begun(tmp_path, "\n".join(["study,yi,sei", *rows]) + "\n")
    assert "yi normal; 6 to 24 rows a data set; sei given; study left out, as names" in said
    assert "np.sqrt(yi_sd**2 + sei**2)" in code


def test_regular_times_make_a_series(tmp_path):
    rows = [f"{1900 + i},{i * 7 % 11 - 5.5}" for i in range(30)]
    said, code = begun(tmp_path, "\n".join(["year,flow", *rows]) + "\n")
    assert "flow normal; 15 to 60 rows a data set; steps in the order of year" in said
    assert "flow_persistence" in code


def test_outcomes_that_are_none_are_refused(tmp_path):
    (tmp_path / "data.csv").write_text(KINDS, encoding="utf-8")
    table = tmp_path / "data.csv"
    missing = abi("init", tmp_path / "trial", "--from", table, "--outcome", "agre")
    assert missing.exit_code == 4
    assert "expected a column agre; got who, rate" in missing.stderr
    assert "Did you mean 'agree'?" in missing.stderr
    words = abi("init", tmp_path / "trial", "--from", table, "--outcome", "arm")
    assert words.exit_code == 4
    assert "got 3: drug, other, placebo" in words.stderr
    alone = abi("init", tmp_path / "trial", "--outcome", "arm")
    assert alone.exit_code == 2
    assert "Expected --from FILE with --outcome arm" in alone.stderr
    assert not (tmp_path / "trial").exists()
