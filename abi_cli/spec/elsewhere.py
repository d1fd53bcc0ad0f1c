"""Words of other programs, and what they are here: of Stan, PyMC, R, SciPy, BayesFlow, sbi."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from abi_cli.spec.problems import suggestion

_OPTIONS = (
    ("loc", "mean", "mu", "location", "m", "meanlog"),
    ("scale", "sigma", "sd", "std", "stddev", "s", "sdlog"),
    ("df", "nu", "dof"),
    ("low", "lower", "min", "minimum"),
    ("high", "upper", "max", "maximum"),
    ("lam", "rate", "lambda", "mu"),
    ("a", "shape", "alpha", "shape1"),
    ("b", "beta", "shape2"),
    ("p", "prob", "theta"),
    ("n", "trials"),
)
"""Options of distributions: ours among those of others."""

_FIELDS = {
    "likelihood": ("simulator", "simulate", "sim", "forward", "data_generating"),
    "prior": ("params", "priors"),
    "learning_rate": ("lr", "eta", "step_size", "stepsize"),
    "epochs": ("iterations", "iter", "max_epochs", "steps"),
    "num_batches": ("steps_per_epoch", "num_simulations", "n_simulations", "simulations", "sims"),
    "batch_size": ("batch", "training_batch_size"),
    "summary": ("embedding", "embedding_net", "summary_network", "encoder"),
    "inference": ("density_estimator", "inference_network", "flow", "posterior"),
    "kind": ("type", "class"),
}
"""Fields, and what others call them."""

_VALUES = {
    "set": ("iid", "exchangeable", "sample", "table", "rows"),
    "series": ("ordered", "sequence", "timeseries"),
    "fixed": ("vector", "array", "matrix", "image", "scalar", "number"),
}
"""Words for values of fields, and other words for them."""

_PARTS = {
    "bernoulli": "binomial: {n: 1, p: …}",
    "categorical": "choice: […]",
    "discrete_uniform": "integers: {low: …, high: …}",
    "uniform_discrete": "integers: {low: …, high: …}",
    "halfflat": "half_normal: {scale: …} with a wide scale: simulations need a proper prior",
    "flat": "normal: {loc: …, scale: …} with a wide scale: simulations need a proper prior",
    "chi_squared": "gamma: {shape: …, scale: 2} with half the degrees of freedom as shape",
    "chisq": "gamma: {shape: …, scale: 2} with half the degrees of freedom as shape",
    "nsf": "coupling_flow: {transform: spline}",
    "neural_spline_flow": "coupling_flow: {transform: spline}",
    "spline_flow": "coupling_flow: {transform: spline}",
    "realnvp": "coupling_flow",
    "maf": "autoregressive_flow",
    "mdn": "gaussian_mixture",
    "fmpe": "flow_matching",
    "npse": "diffusion",
    "lstm": "recurrent",
    "gru": "recurrent",
    "cnn": "convolutional",
    "rnn": "recurrent",
    "transformer": "set_transformer or time_series_transformer",
}
"""Parts that others name, and what to write."""

_BOUNDED = {"normal": "truncated_normal: {loc: …, scale: …, low: …, high: …}"}
"""Distributions that others bound by an option, and the one that is bounded here."""

_SPOKEN = {
    "model": "A number that functions take is drawn in meta: {{{word}: …}}",
    "data": "Files are named to commands, abi sample RUN FILE; data says how they are read",
    "training": "Simulations are epochs × num_batches × batch_size",
}
"""Sections, and what is meant by those who write in them what is no field."""


def option(word: str, options: Collection[str]) -> str | None:
    """The option that another word for it means; None where there is none."""
    if word in options:
        return word
    meant = (name for alike in _OPTIONS if word in alike for name in alike if name in options)
    return next(meant, None)


def bounded(word: str, distribution: str) -> str | None:
    """The way to write a distribution that is bounded by an option; None for other options."""
    bounds = word.startswith("trunc") or option(word, ("low", "high")) is not None
    return _BOUNDED.get(distribution) if bounds else None


def field(word: str, known: Collection[str]) -> str | None:
    """The field that another word for it means; None where there is none."""
    return _among(word, known, _FIELDS)


def value(word: str, known: Collection[str]) -> str | None:
    """The value of a field that another word for it means; None where there is none."""
    return _among(word, known, _VALUES)


def spoken(section: str, word: str) -> str | None:
    """The likely meaning of a field in a section that has none like it; None if unknown."""
    said = _SPOKEN.get(section)
    return said and said.format(word=word)


def part(word: str, kind: str, known: tuple[str, ...], *, title: str) -> str:
    """A hint for a part that is not there: what it is called here, and those there are.

    Arguments:
        kind: Of the part, as in the registry.
        title: Of the list.
    """
    plain = word.lower().replace("-", "_")
    hint = suggestion(word, known, title=title)
    if (here := _PARTS.get(plain) or _PARTS.get(plain.replace("_", ""))) and any(
        name in here for name in known
    ):
        return f"Write {here}. {hint.rpartition('? ')[2]}"
    if kind == "distribution" and "Did you mean" not in hint:
        return f"{hint}. Others a function can draw: prior: FILE.py:NAME"
    return hint


def _among(word: str, known: Collection[str], table: Mapping[str, Collection[str]]) -> str | None:
    return next((name for name in known if word in table.get(name, ())), None)
