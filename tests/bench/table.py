"""What was measured, as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from tests.bench.sides import ONE_DRAW, SECOND, TUTORIAL, VECTORISED, Result, Workload


@dataclass(frozen=True)
class Target:
    """A promise: our figure divided by the peer's is at most this, or our figure where said so."""

    must: str = ""
    aim: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the comparison.

    Arguments:
        title: Of the line.
        workload: Whose trainings it is about.
        figure: What is compared, of one result.
        unit: Divisor for printing.
        form: Format of a figure.
        target: What was promised of the ratio.
    """

    title: str
    workload: Workload
    figure: Callable[[Result], float]
    unit: float = 1.0
    form: str = ".1f"
    target: Target = Target()


ROWS = (
    Row(
        "training, vectorised functions, whole process, s",
        VECTORISED,
        lambda result: result.whole,
        target=Target("1/10", "1/15"),
    ),
    Row(
        "training, one-draw functions, whole process, s",
        ONE_DRAW,
        lambda result: result.whole,
        target=Target("1/7", "1/10"),
    ),
    Row("first epoch, with compilation, s", VECTORISED, lambda result: result.first_epoch),
    Row(
        "compilation before the first step, s",
        VECTORISED,
        lambda result: result.first_epoch - result.epoch,
        target=Target("8 s", "5 s"),
    ),
    Row("later epochs, vectorised, s", VECTORISED, lambda result: result.epoch, form=".2f"),
    Row("later epochs, one-draw, s", ONE_DRAW, lambda result: result.epoch, form=".2f"),
    Row(
        "200 × 1,000 draws, first call, s",
        VECTORISED,
        lambda result: result.sample[0],
        form=".2f",
    ),
    Row(
        "200 × 1,000 draws, warm, s",
        VECTORISED,
        lambda result: result.sample[1],
        form=".2f",
        target=Target("1/2", "1/3"),
    ),
    Row("memory at most, training, GB", VECTORISED, lambda result: result.peak, 1e9, ".2f"),
    Row("memory at most, drawing, GB", VECTORISED, lambda result: result.sample_peak, 1e9, ".2f"),
)


@dataclass(frozen=True)
class Step:
    """A training step beside its matrix products, in seconds."""

    side: str
    backend: str
    step: float
    products: float


def line(cells: Iterable[str]) -> str:
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def header(cells: Sequence[str]) -> list[str]:
    """The first two lines of a Markdown table; all columns but the first are numbers."""
    return [line(cells), line(["---", *["---:"] * (len(cells) - 1)])]


def chosen(results: Sequence[Result], side: str, workload: Workload) -> list[Result]:
    """The results of a side with a workload."""
    return [r for r in results if r.side == side and r.spec == workload.spec]


def backends(results: Sequence[Result], side: str) -> list[str]:
    """The backends that a side was measured with, in order."""
    return list(dict.fromkeys(r.backend for r in results if r.side == side))


def comparison(results: Sequence[Result]) -> list[str]:
    """The table of ratios: medians over seeds, our figure divided by the peer's better one."""
    theirs, ours = backends(results, "peer"), backends(results, "abi")
    lines = header(
        ["", *(f"peer, {b}" for b in theirs), *(f"abi, {b}" for b in ours)]
        + [f"ratio, {b}" for b in ours]
        + ["must", "aim"]
    )
    for row in ROWS:

        def figure(side: str, backend: str, row: Row = row) -> float | None:
            of = [r for r in chosen(results, side, row.workload) if r.backend == backend]
            return median(row.figure(r) for r in of) if of else None

        def shown(value: float | None, row: Row = row) -> str:
            return "–" if value is None else f"{value / row.unit:{row.form}}"

        peers = [figure("peer", backend) for backend in theirs]
        own = [figure("abi", backend) for backend in ours]
        best = min((value for value in peers if value is not None), default=None)
        ratios = ["–" if best is None or value is None else as_ratio(value / best) for value in own]
        lines.append(
            line(
                [
                    row.title,
                    *map(shown, [*peers, *own]),
                    *ratios,
                    row.target.must,
                    row.target.aim,
                ]
            )
        )
    return lines


def as_ratio(value: float) -> str:
    """1/12 rather than 0.083."""
    return f"1/{1 / value:.1f}" if value < 1 else f"{value:.2f}"


def closeness(results: Sequence[Result]) -> list[str]:
    """Divergence from the exact posteriors: the seed with the median mean of each."""
    lines = header(
        ["", "mean", "s.e.", "of seeds", "median", "95 %", "by tenth of σ, from the smallest"]
    )
    for side, workload in (
        ("peer", ONE_DRAW),
        ("peer", VECTORISED),
        ("abi", ONE_DRAW),
        ("abi", VECTORISED),
        ("abi", TUTORIAL),
        ("abi", SECOND),
    ):
        for backend in backends(results, side):
            of = [r for r in chosen(results, side, workload) if r.backend == backend]
            if not of:
                continue
            of = sorted(of, key=lambda result: result.divergence.mean)
            kl = of[(len(of) - 1) // 2].divergence
            lines.append(
                line(
                    [
                        f"{side}, {workload.title}, {backend}",
                        f"{kl.mean:.3f}",
                        f"{kl.standard_error:.3f}",
                        ", ".join(f"{result.divergence.mean:.3f}" for result in of),
                        f"{kl.median:.3f}",
                        f"{kl.high:.2f}",
                        " ".join(f"{tenth:.2f}" for tenth in kl.deciles),
                    ]
                )
            )
    return lines


def steps(found: Sequence[Step]) -> list[str]:
    """A training step beside the matrix products of its network."""
    lines = header(["", "step, ms", "products, ms", "ratio", "must", "aim"])
    for one in found:
        ratio = one.step / one.products
        promise = ["4", "3"] if one.side == "abi" else ["", ""]
        lines.append(
            line(
                [
                    f"{one.side}, {one.backend}",
                    f"{1e3 * one.step:.2f}",
                    f"{1e3 * one.products:.2f}",
                    f"{ratio:.1f}",
                    *promise,
                ]
            )
        )
    return lines
