"""First models of tables: what each column is drawn from, as lines of a spec and of Python.

A column alone has a distribution of its kind, whose priors are as wide as the column itself. An
outcome has a generalized linear model on the columns that come with it, centred: its slopes are so
wide that a column's whole spread moves the outcome by about its own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from abi_cli.data.looking import Kind, Look, Shown, short

_DRAW = {
    Kind.NORMAL: "rng.normal({m}, {s}, size=N)",
    Kind.LOG_NORMAL: "rng.lognormal({m}, {s}, size=N)",
    Kind.COUNT: "rng.negative_binomial({s}, {s} / ({s} + {m}), size=N)",
    Kind.SHARE: "inside(rng.beta({m} * {s}, (1 - {m}) * {s}, size=N))",
    Kind.CHOICE: "(rng.random(N) < {m}).astype(int)",
}
"""A column's values, by location m and by scale, shape or precision s."""

_DENSITY = {
    Kind.NORMAL: "stats.norm.logpdf({y}, {m}, {s})",
    Kind.LOG_NORMAL: "stats.norm.logpdf(np.log({y}), {m}, {s}) - np.log({y})",
    Kind.COUNT: "stats.nbinom.logpmf({y}, {s}, {s} / ({s} + {m}))",
    Kind.SHARE: "stats.beta.logpdf(inside({y}), {m} * {s}, (1 - {m}) * {s})",
    Kind.CHOICE: "stats.bernoulli.logpmf({y}, {m})",
}
"""The log density of each value, likewise."""

_SERIES = ("autoregressive({m}, {s}, {k}, N, rng)", "autoregressive_density({y}, {m}, {s}, {k})")
"""Both for the steps of a series, by a persistence k, too."""

_LOGISTIC = "1 / (1 + np.exp(-eta))"
_INVERSE_LINK = {Kind.COUNT: "np.exp(eta)", Kind.SHARE: _LOGISTIC, Kind.CHOICE: _LOGISTIC}
"""The location, of a linear predictor eta; that of other kinds is linear itself."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a first model.

    Arguments:
        prior: Its distribution, as in a spec.
        label: What tables and figures call it, or each of its elements.
    """

    name: str
    prior: str
    label: str | tuple[str, ...]


@dataclass(frozen=True)
class Drawn:
    """A column that a model draws.

    Arguments:
        draw, density: Expressions, of one draw of the parameters and of many.
        eta: The terms of a linear predictor, of one draw and of many; none of a column alone.
    """

    column: Shown
    parameters: tuple[Parameter, ...]
    draw: str
    density: str
    eta: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class FirstModel:
    """A first model of a table.

    Arguments:
        drawn: What it draws.
        arguments: Columns that come with the data and that it takes.
        series: Some are series of steps that depend on those before.
    """

    drawn: tuple[Drawn, ...]
    arguments: tuple[str, ...] = ()
    series: bool = False

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Parameters of all columns."""
        return tuple(parameter for one in self.drawn for parameter in one.parameters)

    def densities(self, gaps: Collection[str]) -> list[str]:
        """The sum of all log densities, as lines of an expression; missing values count zero."""
        terms = [
            f"np.where(np.isnan({one.column.name}), 0, {one.density})"
            if one.column.name in gaps
            else one.density
            for one in self.drawn
        ]
        if len(terms) == 1:
            return terms
        return ["(", f"    {terms[0]}", *(f"    + {term}" for term in terms[1:]), ")"]

    @property
    def shares(self) -> bool:
        """True if any column holds proportions."""
        return any(one.column.kind is Kind.SHARE for one in self.drawn)

    @property
    def said(self) -> str:
        """The distributions of its columns, in words: `a, b normal; c beta`."""
        kinds = dict.fromkeys(one.column.kind for one in self.drawn)
        return "; ".join(
            f"{', '.join(one.column.name for one in self.drawn if one.column.kind is kind)} {kind}"
            for kind in kinds
        )


def first_model(seen: Look, *, outcome: bool) -> FirstModel:
    """The first model of a table: of its outcome, given the other columns, or of each column."""
    if outcome:
        return _explained(seen)
    if len(seen.drawn) == 1 and seen.error:  # an estimate, whatever it looks like
        return _with_errors(replace(seen.drawn[0], kind=Kind.NORMAL), seen.error)
    series = seen.time is not None and not seen.gaps
    drawn = tuple(_alone(column, series=series) for column in seen.drawn)
    return FirstModel(drawn, series=series and any(_is_normal(one.column) for one in drawn))


def _is_normal(column: Shown) -> bool:
    return column.kind is Kind.NORMAL


def _alone(column: Shown, *, series: bool) -> Drawn:
    name = column.name
    if series and _is_normal(column):
        persistence = Parameter(
            f"{name}_persistence", "{uniform: {low: 0, high: 0.95}}", f"persistence of {name}"
        )
        of = {"m": _location(column), "s": _scale(column), "k": persistence}
        draw, density = _SERIES
        names = {key: parameter.name for key, parameter in of.items()}
        columns = {key: f"{text}[:, None]" for key, text in names.items()}
        drawn = draw.format(**names), density.format(y=name, **columns)
        return Drawn(column, tuple(of.values()), *drawn)
    location = _location(column)
    on_scale = "np.log({})" if column.kind is Kind.LOG_NORMAL else "{}"
    m, many = (on_scale.format(text) for text in (location.name, f"{location.name}[:, None]"))
    return _of_kind(column, (location,), m, many)


def _of_kind(
    column: Shown,
    parameters: Sequence[Parameter],
    m: str,
    many: str,
    *,
    error: str | None = None,
    eta: tuple[tuple[str, str], ...] = (),
) -> Drawn:
    """A column drawn about a location m, which is `many` for many draws."""
    if column.kind is Kind.CHOICE:
        draw, density = _DRAW[column.kind].format(m=m), _DENSITY[column.kind]
        return Drawn(column, tuple(parameters), draw, density.format(y=column.name, m=many), eta)
    scale = _scale(column)
    s, s_many = scale.name, f"{scale.name}[:, None]"
    if error is not None:
        s, s_many = (f"np.sqrt({text}**2 + {error}**2)" for text in (s, s_many))
    return Drawn(
        column,
        (*parameters, scale),
        _DRAW[column.kind].format(m=m, s=s),
        _DENSITY[column.kind].format(y=column.name, m=many, s=s_many),
        eta,
    )


def _location(column: Shown) -> Parameter:
    name = column.name
    match column.kind:
        case Kind.NORMAL:
            prior = f"{{normal: {{loc: {column.centre}, scale: {column.spread}}}}}"
            return Parameter(f"{name}_mean", prior, f"mean of {name}")
        case Kind.LOG_NORMAL:
            prior = f"{{lognormal: {{mean: {column.log_centre}, sigma: {column.log_spread}}}}}"
            return Parameter(f"{name}_median", prior, f"median of {name}")
        case Kind.COUNT:
            prior = f"{{gamma: {{shape: 2, scale: {short(max(column.centre, 0.1) / 2)}}}}}"
            return Parameter(f"{name}_rate", prior, f"rate of {name}")
        case Kind.SHARE:
            return Parameter(f"{name}_mean", "{beta: {a: 3, b: 3}}", f"mean of {name}")
        case Kind.CHOICE:
            return Parameter(f"{name}_share", "{uniform: {low: 0, high: 1}}", f"share of {name}")


def _scale(column: Shown) -> Parameter:
    name = column.name
    match column.kind:
        case Kind.LOG_NORMAL:
            prior = f"{{gamma: {{shape: 4, scale: {short(column.log_spread / 4)}}}}}"
            return Parameter(f"{name}_log_sd", prior, f"sd of log {name}")
        case Kind.COUNT:
            prior = "{lognormal: {mean: 1, sigma: 1}}"
            return Parameter(f"{name}_shape", prior, f"shape of {name}")
        case Kind.SHARE:
            prior = "{lognormal: {mean: 2.5, sigma: 0.7}}"
            return Parameter(f"{name}_precision", prior, f"precision of {name}")
    prior = f"{{gamma: {{shape: 2, scale: {short(column.spread / 2)}}}}}"
    return Parameter(f"{name}_sd", prior, f"sd of {name}")


def _with_errors(column: Shown, error: str) -> FirstModel:
    """Estimates with known standard errors, which scatter beyond these."""
    location = _location(column)
    many = f"{location.name}[:, None]"
    return FirstModel((_of_kind(column, (location,), location.name, many, error=error),), (error,))


def _explained(seen: Look) -> FirstModel:
    """A generalized linear model of the only column drawn."""
    (column,) = seen.drawn
    predictors = [one for one in seen.given if one.name != seen.error]
    about, reach = _linear(column)
    prior = f"{{normal: {{loc: {about}, scale: {2 * reach}}}}}"
    parameters = [Parameter("intercept", prior, "intercept")]
    eta = [("intercept", "intercept[:, None]")]
    for one in predictors:
        effect, term = _effect(one, reach)
        parameters.append(effect)
        eta.append(term)
    m = _INVERSE_LINK.get(column.kind, "eta")
    error = seen.error if column.kind is Kind.NORMAL else None
    drawn = _of_kind(column, parameters, m, m, error=error, eta=tuple(eta))
    return FirstModel((drawn,), (*(one.name for one in predictors), *((error,) if error else ())))


def _linear(column: Shown) -> tuple[float, float]:
    """The place of a linear predictor, and how far one column may move it."""
    match column.kind:
        case Kind.NORMAL:
            return column.centre, column.spread
        case Kind.LOG_NORMAL:
            return column.log_centre, short(column.log_spread / 2)
        case Kind.COUNT:
            return short(math.log(max(column.centre, 0.1))), 0.5
        case Kind.SHARE:
            return short(math.log(column.centre / (1 - column.centre))), 0.5
        case Kind.CHOICE:
            return 0.0, 1.0


def _effect(column: Shown, reach: float) -> tuple[Parameter, tuple[str, str]]:
    """A predictor's coefficient, and its term for one draw and for many."""
    x = column.name
    if column.words:
        name = f"{x}_effect"
        first, *others = column.words
        labels = tuple(f"{word} − {first}" for word in others)
        if len(labels) == 1:
            prior = f"{{normal: {{loc: 0, scale: {reach}}}}}"
            return Parameter(name, prior, labels[0]), (f"{name} * {x}", f"{name}[:, None] * {x}")
        prior = f"{{normal: {{loc: 0, scale: {reach}, size: {len(labels)}}}}}"
        at = f"[{x}.astype(int)]"
        one, many = f"np.insert({name}, 0, 0){at}", f"np.insert({name}, 0, 0, axis=1)[:, {at[1:]}"
        return Parameter(name, prior, labels), (one, many)
    name, about = f"{x}_slope", x
    if column.kind is not Kind.CHOICE and column.centre:
        about = f"({x} - {column.centre})".replace("- -", "+ ")
    scale = 2 * reach if column.kind is Kind.CHOICE else reach / column.spread
    prior = f"{{normal: {{loc: 0, scale: {short(scale)}}}}}"
    label = f"slope of {x}"
    return Parameter(name, prior, label), (f"{name} * {about}", f"{name}[:, None] * {about}")
