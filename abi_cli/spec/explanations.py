"""Meanings of the codes of problems, each with an example, for `abi explain`."""

from __future__ import annotations

from dataclasses import dataclass

from abi_cli.spec.problems import Code


@dataclass(frozen=True)
class Explanation:
    """A kind of problem, in more words than a message has.

    Arguments:
        title: What is wrong, in a line.
        text: Why that matters and what to do.
        wrong: Lines of a spec that have the problem.
        right: The same without it.
    """

    title: str
    text: str
    wrong: str
    right: str


EXPLANATIONS = {
    Code.SYNTAX: Explanation(
        "the text is not YAML",
        "Specs are YAML 1.2, indented with spaces. Most often a bracket or a quote is not closed, "
        "a line is indented further than the one that it belongs to allows, or text that has a "
        "colon and a space in it needs quotes. Tags (!…) and merge keys (<<) are not read: a spec "
        "holds data, not code.",
        "adapter:\n  - as_set: [x, y\n",
        "adapter:\n  - as_set: [x, y]\n",
    ),
    Code.KEY: Explanation(
        "a key is given twice, or is not text",
        "YAML readers usually keep the last of two equal keys and drop the others in silence. A "
        "spec with two is refused, for one of them would have no effect.",
        "training:\n  epochs: 30\n  epochs: 60\n",
        "training:\n  epochs: 60\n",
    ),
    Code.FIELD: Explanation(
        "there is no such field or option here",
        "Every field of a section and every option of a part is known; others are refused, not "
        "ignored. The hint has the nearest name, and all that there are. `abi explain NAME` "
        "documents the options of a part, `abi fill SPEC` writes a spec with all of its fields.",
        "training:\n  epoch: 30\n",
        "training:\n  epochs: 30\n",
    ),
    Code.PART: Explanation(
        "no part can be read from this",
        "Steps, distributions, networks, optimizers, schedules and callbacks all follow one rule: "
        "the name, or {name: {options}}. A bare value in place of the options stands for the only "
        "option that must be given, where there is only one. `abi list` has all names.",
        "networks:\n  inference: coupling\n",
        "networks:\n  inference: {coupling_flow: {depth: 6}}\n",
    ),
    Code.MISSING: Explanation(
        "a field or option that has no default is not given",
        "Fields of a spec have defaults, but for its name and the functions of its model. The hint "
        "says what the field is for.",
        "adapter:\n  - concatenate: {keys: [beta, sigma]}\n",
        "adapter:\n  - concatenate: {keys: [beta, sigma], into: inference_variables}\n",
    ),
    Code.VALUE: Explanation(
        "a value is of the wrong type, out of range, or contradicts another",
        "Numbers are numbers, text is text: nothing is converted, for a conversion is a guess. "
        "Numbers are those of YAML 1.2: 5e-4 is one, '5e-4' in quotes and 1_000 are text; true and "
        "false are the only truth values (NO is text, so that it can be a country).",
        "training:\n  epochs: '30'\n",
        "training:\n  epochs: 30\n",
    ),
    Code.NAME: Explanation(
        "a variable, a run or a function can't be named like this",
        "Variables are arguments of your functions and columns of files: Python keywords can't be "
        "arguments, and some names mean something already (rng, batch_size, dataset, draw, chain, "
        "row_size, log_prob). Functions are file.py:name, relative to the spec, or "
        "package.module:name.",
        "parameters:\n  lambda: {}\n",
        "parameters:\n  lambda_: {}\n",
    ),
    Code.OVERRIDE: Explanation(
        "an override doesn't say what to set, or there is nothing there to set",
        "An override is a path of names and a value: -s training.epochs=60. Parts are addressed by "
        "their name, steps by their number from 0 and their name: -s "
        "adapter.3.standardize.exclude=N. The value is read as YAML and checked like the file.",
        "training.epochs",
        "training.epochs=60",
    ),
    Code.CODE: Explanation(
        "the spec defines parts of its own, and this command executes no code without leave",
        "A spec may name Python files under `use:` that define steps, distributions or networks. "
        "Sampling from a run executes none of its Python, unless it was trained with such parts: "
        "then it needs them. Read the file before you trust it.",
        "use: [my_parts.py]\n",
        "use: []\n",
    ),
    Code.STEP: Explanation(
        "a step of the adapter can't take what reaches it, or something is lost on the way",
        "Steps are applied in order: each sees the variables as those before it have left them. "
        "All parameters have to reach inference_variables; the networks are told "
        "summary_variables and inference_conditions. `abi check SPEC` shows every variable after "
        "every step.",
        "adapter:\n  - concatenate: {keys: [beta, sgma], into: inference_variables}\n",
        "adapter:\n  - concatenate: {keys: [beta, sigma], into: inference_variables}\n",
    ),
    Code.MODEL: Explanation(
        "what the model draws is not what the spec says of it",
        "The keys under `parameters:` are results of the prior, those under `observables:` results "
        "of the likelihood. Parameters are numbers that vary continuously; what else a prior draws "
        "is nuisance: leave it out of `parameters:`.",
        "parameters:\n  bta: {}\n",
        "parameters:\n  beta: {}\n  sigma: {}\n",
    ),
    Code.NETWORK: Explanation(
        "a network can't take what the adapter gives it",
        "Sets and series need a summary network that takes members, because their length varies; "
        "what has one shape in every data set, one that takes a vector, or none.",
        "networks:\n  summary: mlp\n",
        "networks:\n  summary: deep_set\n",
    ),
    Code.TRAINING: Explanation(
        "the training can't do what it is asked for",
        "A callback watches a column of history.csv: loss, or val_loss where there is validation.",
        "training:\n  callbacks:\n    - early_stopping: {monitor: val_loss}\n",
        "training:\n  validation: 100\n  callbacks:\n    - early_stopping: {monitor: val_loss}\n",
    ),
}
"""Code → its explanation; an override's example is the argument of -s, not lines of a spec."""
