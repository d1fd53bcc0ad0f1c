"""report.html: one file that needs no network and no script to be read."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from abi_cli import placing
from abi_cli.diagnostics.advice import advice
from abi_cli.diagnostics.inputs import Provenance
from abi_cli.diagnostics.metrics import Metrics
from abi_cli.diagnostics.pictures import Picture
from abi_cli.digits import fixed

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = Path(__file__).parent / "templates"

REFERENCES = (
    "Talts et al. 2018, Validating Bayesian inference algorithms with simulation-based "
    "calibration, arXiv:1804.06788",
    "Säilynoja, Bürkner & Vehtari 2022, Graphical test for discrete uniformity, arXiv:2103.10522",
    "Modrák et al. 2023, Simulation-based calibration checking for Bayesian computation: the "
    "choice of test quantities shapes sensitivity, arXiv:2211.02383",
)
"""References of the diagnosis itself."""

JOINT_REFERENCES = {
    "spread": "Hermans et al. 2022, A trust crisis in simulation-based inference?, "
    "arXiv:2110.06581",
    "reference": "Lemos et al. 2023, Sampling-based accuracy testing of posterior estimators for "
    "general inference, arXiv:2302.03026",
    "classifier": "Linhart et al. 2023, L-C2ST: local diagnostics for posterior approximations in "
    "simulation-based inference, arXiv:2306.03580",
}


@dataclass(frozen=True)
class Image:
    """A picture as a page has it: without its heading, which the page has as text.

    Arguments:
        title, text: Its heading.
        base64: What is below it, as PNG.
        width: In pixels.
    """

    title: str
    text: str
    base64: str
    width: int


def image(picture: Picture, *files: Path) -> Image:
    """A picture, drawn into files, by extension, and for a page.

    Errors:
        OutputError: A file can't be written.
    """
    from abi_cli.diagnostics import layout, style

    figure = style.save(picture.draw, *files)
    title, text, height = layout.take_heading(figure)
    stream = BytesIO()
    style.write_below(figure, height, stream)
    content = stream.getvalue()
    width = int.from_bytes(content[16:20])
    return Image(title, text.replace(r"\$", "$"), base64.b64encode(content).decode(), width)


def environment() -> Environment:
    """The templates, and how numbers are written in them."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["signed"] = lambda value: f"{round(value, 2) + 0.0:+.2f}".replace("-", "−")
    made.filters["fixed"] = fixed
    made.filters["short"] = lambda value: f"{value:.4g}".replace("-", "−")
    made.filters["brief"] = lambda value: f"{value:.3g}".replace("-", "−")
    made.filters["p"] = lambda value: "< 0.001" if value < 0.001 else f"{value:.3f}"
    return made


def write_page(
    file: Path, metrics: Metrics, pictures: Sequence[tuple[Picture, Image]], source: Provenance
) -> None:
    """Write the report, whole or not at all."""
    told = list(advice(metrics.verdict, datasets=metrics.datasets, means=source.means))
    text = (
        environment()
        .get_template("report.html.j2")
        .render(
            metrics=metrics,
            verdict=metrics.verdict,
            advice=told,
            remedies=list(dict.fromkeys(remedy for one in told for remedy in one.remedies)),
            pictures=pictures,
            source=source,
            methods=methods(metrics, source),
            references=(
                *source.references,
                *REFERENCES,
                *(JOINT_REFERENCES[name] for name in metrics.joint),
            ),
        )
    )
    placing.write_text(file, text)


def methods(metrics: Metrics, source: Provenance) -> str:
    """A paragraph for a paper."""
    limits = metrics.verdict.limits
    percent = f"{100 * (limits.sd_ratio - 1):.0f} %"
    found = {
        "pass": f"No posterior was off by more than {percent} in width or "
        f"{limits.mean_score:g} posterior sd in place.",
        "cannot tell": f"No fault was found, but faults of {percent} in width or "
        f"{limits.mean_score:g} posterior sd in place can't be ruled out.",
        "warn": f"Posteriors were detectably not exact, by less than {percent} in width and "
        f"{limits.mean_score:g} posterior sd in place of any parameter on average.",
        "fail": f"Calibration failed: {metrics.verdict.sentence}",
    }[metrics.verdict.outcome.value]
    joint = " and of the joint distribution" if metrics.joint else ""
    return (
        f"{source.methods} Posteriors were validated on {metrics.datasets:,} simulated data sets "
        f"with known parameters, {metrics.draws:,} draws each, by simulation-based calibration: "
        f"ranks of the true values among the draws were tested for location, spread and shape, "
        f"with test quantities that depend on the data{joint}, at a family-wise level of "
        f"{limits.p:g}. {found}"
    ).strip()
