"""A diagnosis on the terminal, and for the pipelines that act on it; models weighed by data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree  # written, never read

from abi_cli.diagnostics.faults import Kind
from abi_cli.diagnostics.points import PointMetrics
from abi_cli.digits import fixed
from abi_cli.errors import CheckFailed

if TYPE_CHECKING:
    from abi_cli.console.terminal import Console
    from abi_cli.diagnostics import ElementMetrics, ElementVerdict, Metrics
    from abi_cli.diagnostics.ratio import Loss
    from abi_cli.workflow import Comparison, Diagnosis, Weighing

_BLOCKS = "▁▂▃▄▅▆▇█"


def show_diagnosis(console: Console, diagnosis: Diagnosis, *, format: str | None = None) -> None:
    """Show metrics per scalar parameter, the verdict, and where the report is.

    Arguments:
        format: junit or github, for a pipeline; None for people.
    """
    metrics = diagnosis.metrics
    if format is not None:
        console.text(junit(metrics) if format == "junit" else github(metrics))
        return
    if console.json:
        folder = str(diagnosis.folder)
        console.document("metrics", {**metrics.to_config(), "folder": folder})  # its own schema
        return
    if isinstance(metrics, PointMetrics):
        _show_points(console, metrics, diagnosis)
        return
    rows = []
    for name, element in metrics.parameters.items():
        label = metrics.labels[name]
        rows.append(
            (
                name if label == name else f"{label} ({name})",
                _error(element),
                fixed(element.contraction),
                f"{fixed(element.z_score_mean, 2, sign='+')} ± {fixed(element.z_score_sd, 2)}",
                f"{element.calibration_error:.3f}",
                f"{element.uniformity.p:.3f}",
                f"{element.given_data.p_location:.3f}" if element.given_data else "",
                _lost(element.loss),
                sparkline(element.rank_histogram),
                metrics.verdict.parameters[name].outcome.value,
            )
        )
    exact = (
        "exact posteriors give",
        "",
        "",
        "+0.00 ± 1.00",
        f"{metrics.exact['calibration_error']:.3f}",
        "uniform",
        "uniform",
        "0",
        "flat",
        "",
    )
    console.heading(f"{metrics.datasets:,} data sets, {metrics.draws:,} draws each")
    columns = (
        "parameter",
        "NRMSE",
        "contraction",
        "z-score",
        "calibration error",
        "SBC p",
        "data p",
        "nats lost",
        "ranks",
        "",
    )
    console.table(columns, [*rows, exact])
    for name, why in metrics.skipped.items():
        console.note(f"{name} is left out: {why}")
    _show_loss(console, diagnosis)
    for name, own in metrics.joint.items():
        console.text(
            f"jointly, {name}: mean score {signed(own.ranks.mean_score)}, "
            f"p {own.ranks.p_location:.3f}: {metrics.verdict.joint[name].outcome.value}"
        )
    if metrics.loss is not None and len(metrics.parameters) > 1:
        console.text(
            f"jointly, nats lost, at least: {_lost(metrics.loss)}, "
            f"p {metrics.loss.p:.3f}: {metrics.verdict.joint['loss'].outcome.value}"
        )
    if metrics.challenged is not None:
        _show_challenge(console, metrics)
    _show_lost(console, metrics)
    for label, around in metrics.near.items():
        told = ", ".join(
            f"{name} {own.sd_ratio:.2f} ({own.sd_ratio_interval[0]:.2f} to "
            f"{own.sd_ratio_interval[1]:.2f}), {signed(own.mean_score)}"
            for name, own in around.items()
        )
        number = next(iter(around.values())).number
        console.text(f"near {label}, {number:,} data sets, width by ranks and mean score: {told}")
    console.text(f"\n{metrics.verdict.title}: {metrics.verdict.sentence}")
    console.note(f"read {diagnosis.folder / 'report.html'}; numbers and pictures are beside it")


def _show_lost(console: Console, metrics: Metrics) -> None:
    """Show losses by context, where there certainly is one."""
    for part in metrics.by_context:
        told = [
            f"{signed(own.mean)} ({signed(own.interval[0])} to {signed(own.interval[1])}) by {who}"
            for who, own in part.lost.items()
            if _is_lost(metrics, who)
        ]
        if told:
            console.text(f"nats lost where {part.bin}: {', '.join(told)}")


def _is_lost(metrics: Metrics, who: str) -> bool:
    """True if the classifier, or rivals, prove a loss that is worth a word."""
    joint = metrics.verdict.joint.get("challenge" if who == "rivals" else "loss")
    of_each = [] if who == "rivals" else list(metrics.verdict.parameters.values())
    kinds = {kind for own in of_each for fault in own.faults for kind in fault.kinds}
    certain = joint is not None and bool(joint.faults)
    return certain or bool(kinds & {Kind.LOST, Kind.UNINFORMED})


def _show_challenge(console: Console, metrics: Metrics) -> None:
    """Show the findings of rivals, and widths of posteriors beside theirs."""
    own = metrics.challenged
    if own is None:
        return
    low, high = own.interval
    widths = ", ".join(f"{name} {width:.2f}" for name, width in own.widths.items())
    console.text(
        f"challenged, nats lost, at least: {max(own.nats, 0):.2f} ({signed(low)} to "
        f"{signed(high)}), p {own.p:.3f}: {metrics.verdict.joint['challenge'].outcome.value}"
    )
    console.text(
        f"by {own.rival}, {own.simulations:,} simulations"
        + (f"; width beside its own: {widths}" if widths else "")
    )


def _show_points(console: Console, metrics: PointMetrics, diagnosis: Diagnosis) -> None:
    """Show metrics of each estimate of each scalar."""
    names = list(dict.fromkeys(which for own in metrics.parameters.values() for which in own))
    rows = []
    for name, own in metrics.parameters.items():
        label = metrics.labels[name]
        found = [f"{fixed(own[which].found)}" if which in own else "" for which in names]
        verdict = metrics.verdict.parameters[name].outcome.value
        title = name if label == name else f"{label} ({name})"
        rows.append((title, fixed(metrics.nrmse[name]), *found, verdict))
    first = next(iter(metrics.parameters.values()))
    exact = [f"{first[which].expected:.3g}" if which in first else "" for which in names]
    console.heading(
        f"{metrics.datasets:,} data sets: of quantiles the share of true values below, of the mean "
        "how far the truth lies above it in posterior sds, of sds the share of the right one"
    )
    console.table(
        ("parameter", "NRMSE", *names, ""), [*rows, ("exact estimates give", "", *exact, "")]
    )
    for name, why in metrics.skipped.items():
        console.note(f"{name} is left out: {why}")
    _show_loss(console, diagnosis)
    console.text(f"\n{metrics.verdict.title}: {metrics.verdict.sentence}")
    console.note(f"numbers and pictures are in {diagnosis.folder}")


def _show_loss(console: Console, diagnosis: Diagnosis) -> None:
    if losses := [row["loss"] for row in diagnosis.history]:
        console.text(f"loss {curve(losses)} {losses[0]:.4g} to {losses[-1]:.4g}")


def _lost(loss: Loss | None) -> str:
    """A lower bound, which is never below 0."""
    return "" if loss is None else f"{max(loss.nats, 0):.2f}"


def _error(element: ElementMetrics) -> str:
    """NRMSE, and the same by medians where a few posteriors rule it."""
    told = fixed(element.nrmse)
    return f"{told} (by medians {fixed(element.nrmse_robust)})" if element.ruled else told


def show_comparison(console: Console, comparison: Comparison) -> None:
    """Show differences of specs, scores side by side, verdicts."""
    names = [str(run.path) for run in comparison.runs]
    if console.json:
        console.document(
            "comparison",
            {
                "specs": {key: list(values) for key, values in comparison.specs.items()},
                "runs": [
                    {
                        "run": name,
                        "tested": list(one.metrics.verdict.tested),
                        "verdict": one.metrics.verdict.to_config(),
                        "scores": {key: own.to_config() for key, own in found.items()},
                    }
                    for name, one, found in zip(
                        names, comparison.judged, comparison.differences, strict=True
                    )
                ],
            },
        )
        return
    console.heading("where the specs differ")
    rows = [(field, *values) for field, values in comparison.specs.items()]
    console.table(("field", *names), rows or [("nowhere", *("" for _ in names))])
    first = comparison.judged[0].metrics
    console.heading(
        f"\nscores on the same {first.datasets:,} data sets, {first.draws:,} draws each: less is "
        f"better; differences from {names[0]} with intervals of 90 %"
    )
    rows = []
    for score in comparison.differences[0]:
        for name, found in zip(names, comparison.differences, strict=True):
            if (own := found.get(score)) is None:
                continue
            low, high = own.interval
            away = f"{own.mean:+.4f} [{low:+.4f}, {high:+.4f}]".replace("-", "−")
            telling = name != names[0]
            rows.append((score, name, f"{own.score:.4f}", away if telling else "", own.word))
    console.table(("score", "run", "mean", "difference", ""), rows)
    console.text("")
    if told := _uses_more(names, comparison):
        console.text(told)
    for name, one in zip(names, comparison.judged, strict=True):
        verdict = one.metrics.verdict
        console.text(f"{name}: {verdict.title}: {verdict.sentence}")


def _uses_more(names: Sequence[str], comparison: Comparison) -> str:
    """The one of two runs that uses more of the data, where that is sure; may be empty.

    By their densities, whose difference is that of their divergences from exact posteriors, or else
    by what is lost of either at least.
    """
    ways = {
        "−log q": "is closer to exact posteriors than",
        "nats lost, at least": "uses more of what statistics of the data tell than",
    }
    for score, words in ways.items():
        differing = [found[score] for found in comparison.differences[1:] if score in found]
        if len(differing) != 1 or len(names) != 2:
            continue
        own = differing[0]
        if own.word not in ("better", "worse"):
            return ""
        more, less = names[::-1] if own.word == "better" else names
        low, high = sorted(map(abs, own.interval))
        return f"{more} {words} {less}, by {low:.2f} to {high:.2f} nats"
    return ""


def gate(metrics: Metrics | PointMetrics) -> None:
    """Refuse to go on where posteriors can't be trusted.

    Errors:
        CheckFailed: The verdict is fail.
    """
    if metrics.verdict.outcome.value == "fail":
        raise CheckFailed(metrics.verdict.sentence, hint="report.html says what to try.")


def sparkline(counts: Sequence[int]) -> str:
    """Counts in a character each; twice their mean is at the top."""
    top, mean = len(_BLOCKS) - 1, sum(counts) / len(counts)
    return "".join(_BLOCKS[min(top, round(top * count / (2 * mean)))] for count in counts)


def curve(values: Sequence[float]) -> str:
    """Values in at most 40 characters, between their lowest and their highest.

    The first tenth may start above the rest: what is beyond three times its range is at the top.
    """
    step = -(-len(values) // 40)
    shown = [value for value in values[::step] if math.isfinite(value)]
    if not shown:
        return ""
    low, later = min(shown), max(shown[len(shown) // 10 :])
    high = min(max(shown), low + 3 * (later - low))
    top = len(_BLOCKS) - 1
    scale = top / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[min(top, round(scale * (value - low)))] for value in shown)


def signed(value: float) -> str:
    """The number with two decimals and a true minus sign."""
    return f"{value:+.2f}".replace("-", "−")


def _cases(metrics: Metrics | PointMetrics) -> list[tuple[str, ElementVerdict]]:
    """Everything that is judged, by name."""
    joint = {f"jointly, {name}": own for name, own in metrics.verdict.joint.items()}
    return list({**metrics.verdict.parameters, **joint}.items())


def junit(metrics: Metrics | PointMetrics) -> str:
    """A test suite as XML: failures fail, "cannot tell" is skipped, warnings are on system-out."""
    cases = _cases(metrics)
    count = {
        word: sum(own.outcome.value == word for _, own in cases) for word in ("fail", "cannot tell")
    }
    suite = ElementTree.Element(
        "testsuite",
        name="abi diagnose",
        tests=str(len(cases)),
        failures=str(count["fail"]),
        errors="0",
        skipped=str(count["cannot tell"]),
    )
    for name, own in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="posterior", name=name)
        tag = {"fail": "failure", "cannot tell": "skipped"}.get(own.outcome.value)
        if tag:
            ElementTree.SubElement(case, tag, message=own.reason)
        elif own.outcome.value == "warn":
            ElementTree.SubElement(case, "system-out").text = f"warning: {own.reason}"
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True)


def github(metrics: Metrics | PointMetrics) -> str:
    """Workflow commands of GitHub Actions: a line for each finding, then the verdict."""
    level = {"fail": "error", "warn": "warning", "cannot tell": "notice"}
    lines = [
        f"::{level[own.outcome.value]} title=abi diagnose::{_escaped(f'{name}: {own.reason}')}"
        for name, own in _cases(metrics)
        if own.outcome.value in level
    ]
    outcome = metrics.verdict.outcome.value
    said = _escaped(f"{metrics.verdict.title}: {metrics.verdict.sentence}")
    return "\n".join([*lines, f"::{level.get(outcome, 'notice')} title=abi diagnose::{said}"])


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def show_weighing(console: Console, weighing: Weighing) -> None:
    """Show a row for each data set and model: elpd, evidence, differences to the first model."""
    if console.json:
        console.document("weighing", weighing.to_config())
        return
    first = weighing.weighed[0]
    console.heading(f"differences are from {first.run.path}, ± standard errors")
    members = bool(first.elpd)
    columns = ["data set", "model"]
    columns += ["elpd", "difference", "", "k-hat bad"] if members else []
    columns += ["log evidence", "log Bayes factor"] if weighing.evidence else []
    rows = []
    for row, label in enumerate(weighing.labels):
        for k, one in enumerate(weighing.weighed):
            cells = [label, str(one.run.path)]
            if members:
                own, base = one.elpd[row], first.elpd[row]
                cells += [_pair(own.total, own.error)]
                cells += [_pair(*own.minus(base)), own.word(base)] if k else ["", ""]
                cells += [f"{own.bad} of {len(own.each)}" if own.bad else ""]
            if weighing.evidence:
                cells += [_pair(one.log_evidence[row], one.log_evidence_error[row], 3)]
                cells += [_pair(*weighing.factor(k, row), 3) if k else ""]
            rows.append(cells)
    console.table(columns, rows)


def _pair(value: float, error: float, digits: int = 1) -> str:
    if not math.isfinite(value):
        return "not known"
    return f"{value:.{digits}f} ± {error:.{digits}f}".replace("-", "−")
