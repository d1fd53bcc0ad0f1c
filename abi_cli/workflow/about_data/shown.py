"""Posteriors for pictures and pages: the chosen data sets and parameters, with truth and prior."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from abi_cli.data import Asked, Draws, read_described, read_shapes
from abi_cli.data.draws import USUAL_STYLE
from abi_cli.data.entries import listing
from abi_cli.data.spelling import meant
from abi_cli.diagnostics.pictures import Picture
from abi_cli.errors import DataError, UsageError
from abi_cli.variables import Layout, array_of
from abi_cli.workflow.predicting import Prediction
from abi_cli.workflow.request import Model
from abi_cli.workflow.session import Session

PRIOR_DRAWS = 2_000


@dataclass(frozen=True)
class Shown:
    """Posteriors to be shown, scalar by scalar.

    Arguments:
        labels: Of the data sets.
        draws: Name of a scalar → `(dataset, draw)`; NaN where a data set has none of it.
        titles: Name of a scalar → what people read instead.
        truth: Name of a scalar → `(dataset,)`, of those whose true values are known.
        prior: Name of a scalar → `(draw,)`, of those whose prior is known.
    """

    labels: tuple[str, ...]
    draws: Mapping[str, np.ndarray]
    titles: Mapping[str, str] = field(default_factory=dict)
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)
    prior: Mapping[str, np.ndarray] = field(default_factory=dict)

    def refuse_other(self, layout: Layout, run: Path, *, place: str) -> None:
        """Refuse draws of another model than a run's.

        Errors:
            DataError: A parameter of the run is not among them.
        """
        elements = [name for v in layout.of("parameter") for name in v.elements()]
        if lacking := [name for name in elements if name not in self.draws]:
            raise DataError(
                f"expected draws of the parameters of {run}: {listing(elements)}; "
                f"got {listing(self.draws)}, without {listing(lacking)}",
                place=place,
                hint="Leave --run out, or name the run that they are from.",
            )

    @classmethod
    def of(cls, draws: Draws, titles: Mapping[str, str], *, place: str) -> Shown:
        """All scalars of draws.

        Errors:
            DataError: There is one draw of each alone.
        """
        elements = draws.elements()
        if next(iter(elements.values())).shape[1] < 2:
            raise DataError("expected 2 draws of each data set at least; got one", place=place)
        return cls(draws.labels, elements, titles)

    def only(self, parameters: Sequence[str]) -> Shown:
        """The parameters that are asked for, by their names, those of elements, or their titles.

        Errors:
            UsageError: There is none of this name.
        """
        if not parameters:
            return self
        chosen = scalars_called(parameters, list(self.draws), self.titles)
        return replace(self, draws={name: self.draws[name] for name in chosen})

    def known(self, label: str) -> str:
        """The title of a scalar."""
        return self.titles.get(label, label)

    def pairs(self, row: int, *, paired: bool = True) -> Picture:
        """The posterior of a data set: each parameter, and each pair of them unless told otherwise.

        Errors:
            DataError: It has none of the parameters.
        """
        from abi_cli.diagnostics import plots_pairs, style

        own = {n: d[row].astype(np.float64) for n, d in self.draws.items()}
        own = {n: d for n, d in own.items() if np.isfinite(d).all()}
        if not own:
            raise DataError(f"data set {self.labels[row]} has no draws of {listing(self.draws)}")
        most = 36
        left_out = len(own) - most
        remark = f"{left_out} more parameters are left out." if left_out > 0 else ""
        own = dict(list(own.items())[:most])
        sample = plots_pairs.Sample(
            [style.printable(self.known(name)) for name in own],
            np.stack(list(own.values())),
            truth=_all_of(self.truth, own, row),
            prior=_all_of(self.prior, own),
        )
        dataset = style.printable(self.labels[row])
        said = "; ".join(f"{self.known(n)} {d.mean():.3g} ± {d.std():.2g}" for n, d in own.items())
        return Picture(
            "pairs" if paired else "marginals",
            "Posterior",
            f"Posterior draws given data set {self.labels[row]}: {said}.",
            lambda: plots_pairs.posterior_pairs(
                sample, dataset=dataset, remark=remark, paired=paired
            ),
            lambda: iter(()),
        )

    def forest(self, rows: Sequence[int], *, remark: str = "") -> Picture:
        """Intervals of data sets beside each other, parameter by parameter."""
        from abi_cli.diagnostics import plots_posteriors, style

        most = 36
        left_out = len(self.draws) - most
        if left_out > 0:
            remark = f"{remark} {left_out} more parameters are left out.".strip()
        parameters = []
        for name, draws in list(self.draws.items())[:most]:
            prior = self.prior.get(name)
            own = np.quantile(draws[list(rows)], plots_posteriors.LEVELS, axis=1)
            ends = None if prior is None else np.quantile(prior, (0.05, 0.95))
            parameters.append(
                plots_posteriors.Intervals(
                    style.printable(self.known(name)),
                    own,
                    truth=self.truth[name][list(rows)] if name in self.truth else None,
                    prior=None if ends is None else (float(ends[0]), float(ends[1])),
                )
            )
        labels = [self.labels[row] for row in rows]
        return Picture(
            "intervals",
            "Posteriors",
            f"Posterior intervals of {listing(self.draws)} in data sets {listing(labels)}.",
            lambda: plots_posteriors.forest(parameters, labels, remark=remark),
            lambda: iter(()),
        )


def scalars_called(
    wanted: Sequence[str], names: Sequence[str], titles: Mapping[str, str]
) -> list[str]:
    """The scalars that are asked for, by their names, those of their parameters, or their titles.

    Arguments:
        names: Those that there are.

    Errors:
        UsageError: There is none of this name.
    """
    chosen: list[str] = []
    for one in wanted:
        found = [n for n in names if one in (n, n.partition("[")[0], titles.get(n))]
        if not found:
            known = list(dict.fromkeys(n.partition("[")[0] for n in names))
            near = meant(one, [*known, *names])
            raise UsageError(
                f"expected --parameters among {listing(known)}; got {one!r}",
                hint=f"Did you mean {near}?" if near else None,
            )
        chosen += found
    return list(dict.fromkeys(chosen))


def refuse_unknown_parameters(wanted: Sequence[str], session: Session) -> None:
    """Refuse parameters that a run has not, before its posteriors are drawn.

    Errors:
        UsageError: There is none of a name.
    """
    names = [name for v in session.run.layout.of("parameter") for name in v.elements()]
    scalars_called(wanted, names, session.titles)


def refuse_one_draw(draws: int) -> None:
    """Refuse to show a posterior by one draw.

    Errors:
        UsageError: There would be one.
    """
    if draws < 2:
        raise UsageError(f"expected 2 draws of each data set at least, with -n; got {draws}")


def _all_of(
    values: Mapping[str, np.ndarray], names: Iterable[str], row: int | None = None
) -> np.ndarray | None:
    """Values of scalars, `(element, …)`, NaN of those without; None where none of them has any."""
    own = {n: v if row is None else v[row] for n, v in values.items()}
    known = [own[name] for name in names if name in own]
    if not known or np.isnan(known).all():
        return None
    return np.stack([own.get(name, np.full_like(known[0], np.nan)) for name in names])


def predictive(
    prediction: Prediction, row: int, *, series: frozenset[str], times: Mapping[str, str]
) -> Picture:
    """The data of a data set beside those that its posterior generates."""
    from abi_cli.diagnostics import plots_replicas

    label = prediction.labels[row]
    observed, replicated = prediction.of(row)
    one = plots_replicas.Replicas(label, observed, replicated, series, times)
    return Picture(
        "predictive",
        "Data and replicated data",
        f"{listing(replicated)} of data set {label} beside data that its posterior generates.",
        lambda: plots_replicas.predictive(one),
        lambda: iter(()),
    )


def prior_of(model: Model, layout: Layout, *, seed: int) -> dict[str, np.ndarray]:
    """Draws of the prior, scalar → `(draw,)`, by the run's own code.

    Errors:
        SpecError: The spec has no model.
        UserFunctionError: It fails.
    """
    simulator = model.need_simulator()
    stop = math.ceil(PRIOR_DRAWS / simulator.unit) * simulator.unit
    rows = simulator.without_data(seed=seed, start=0, stop=stop)
    values = {v.name: array_of(rows[v.name])[None] for v in layout.of("parameter")}
    return {name: own[0] for name, own in USUAL_STYLE.scalars(values).items()}


def truths_of(file: Path, draws: Draws, rows: Sequence[int]) -> dict[str, np.ndarray]:
    """True values of a table, scalar → `(dataset,)`, in the order of the draws.

    Arguments:
        rows: The data sets that must be there; of others they are NaN.

    Errors:
        DataError: It has none of the parameters, or not of every data set.
    """
    there = read_shapes(file, Asked())
    named = [name for name in draws.values if name in there]
    if not named:
        raise DataError(
            f"expected true values of {listing(draws.values)}; got {listing(there)}",
            place=str(file),
        )
    loaded = read_described(file, once=named, alone=True)
    place = {label: at for at, label in enumerate(loaded.labels)}
    if absent := [draws.labels[row] for row in rows if draws.labels[row] not in place]:
        raise DataError(
            f"expected true values of every data set; got none of {listing(absent)}",
            place=str(file),
        )
    at = [place.get(label, -1) for label in draws.labels]
    gone = np.array(at) < 0
    values = {}
    for name in named:
        value, shape = array_of(loaded.datasets[name]), draws.values[name].shape[2:]
        if value.shape[1:] != shape:
            raise DataError(
                f"expected true values of {name} of shape {shape}, as its draws have; "
                f"got {value.shape[1:]}",
                place=str(file),
            )
        found = value[at].astype(np.float64)
        found[gone] = np.nan
        values[name] = found[:, None]
    return {name: own[:, 0] for name, own in USUAL_STYLE.scalars(values).items()}


def rows_of(labels: Sequence[str], wanted: Sequence[str], *, place: str) -> list[int]:
    """The places of data sets by name; all where none is named.

    Errors:
        DataError: There is none of this name.
    """
    position = {label: at for at, label in enumerate(labels)}
    for label in wanted:
        if label not in position:
            near = meant(label, labels)
            raise DataError(
                f"expected --datasets among {listing(labels)}; got {label!r}",
                place=place,
                hint=f"Did you mean {near}?" if near else None,
            )
    return [position[label] for label in wanted] if wanted else list(range(len(labels)))


def names_in(text: str | None) -> list[str]:
    """Names with commas between them."""
    return [name.strip() for name in (text or "").split(",") if name.strip()]
