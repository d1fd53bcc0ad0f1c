"""Progress of long work: a bar on a terminal, lines in a log, JSON for another program."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

import rich.progress
from rich.console import Console as Rich
from rich.table import Column
from rich.text import Text

from abi_cli import listener
from abi_cli.digits import duration

_PATIENCE = 1.0
"""Seconds between two lines, at least; work that takes less is not worth one."""


class Display(Protocol):
    """A way of showing tasks."""

    def task(
        self, title: str, total: int | None, unit: str
    ) -> AbstractContextManager[listener.Progress]:
        """Show a task for as long as the context lasts."""


class Bar:
    """A bar for every task, below what else is said meanwhile."""

    def __init__(self, console: Rich):
        self._bars = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(bar_width=24),
            _Done(),
            _Pace(),
            _Figures(table_column=Column(no_wrap=True)),
            console=console,
        )

    @contextmanager
    def task(self, title: str, total: int | None, unit: str) -> Iterator[listener.Progress]:
        """Show a bar, which stays with the time it took when the task has ended."""
        if not self._bars.live.is_started:
            self._bars.start()
        task = self._bars.add_task(title, total=total, unit=unit, figures={})
        try:
            yield _BarTask(self._bars, task)
        finally:
            self._bars.stop_task(task)
            if all(bar.stop_time is not None for bar in self._bars.tasks):
                self._bars.stop()
                for bar in self._bars.task_ids:
                    self._bars.remove_task(bar)


class _BarTask:
    def __init__(self, bars: rich.progress.Progress, task: rich.progress.TaskID):
        self._bars, self._task = bars, task

    def advance(self, amount: int = 1, **figures: float) -> None:
        if figures:
            self._bars.update(self._task, figures=figures)
        self._bars.advance(self._task, amount)


class _Done(rich.progress.ProgressColumn):
    def render(self, task: rich.progress.Task) -> Text:
        return Text(_done(task.completed, task.total, task.fields["unit"]), style="dim")


class _Pace(rich.progress.ProgressColumn):
    def render(self, task: rich.progress.Task) -> Text:
        if task.finished or task.stop_time is not None:
            return Text(f"done in {duration(task.elapsed or 0)}", style="dim")
        return Text(_pace(task.speed, task.time_remaining, task.fields["unit"]), style="dim")


class _Figures(rich.progress.ProgressColumn):
    def render(self, task: rich.progress.Task) -> Text:
        return Text(_figures(task.fields["figures"]))


class Plain:
    """Lines now and then, for logs and files."""

    def __init__(self, console: Rich):
        self._console = console

    @contextmanager
    def task(self, title: str, total: int | None, unit: str) -> Iterator[listener.Progress]:
        """Show a line at every tenth of the way, and one at the end."""
        task = _PlainTask(self._console, title, total, unit)
        yield task
        task.end()


class _PlainTask:
    def __init__(self, console: Rich, title: str, total: int | None, unit: str):
        self._console, self._title, self._total, self._unit = console, title, total, unit
        self._begun = self._last = time.perf_counter()
        self._done, self._said = 0, 0
        self._known: Mapping[str, float] = {}

    def advance(self, amount: int = 1, **figures: float) -> None:
        self._done += amount
        self._known = figures or self._known
        now = time.perf_counter()
        step = self._total / 10 if self._total else 0
        far_enough = self._done - self._said >= step if step else now - self._last >= 10
        ended = self._total is not None and self._done >= self._total
        if far_enough and not ended and now - self._last >= _PATIENCE:
            self._say(now)

    def end(self) -> None:
        now = time.perf_counter()
        if now - self._begun >= _PATIENCE:
            self._say(now)

    def _say(self, now: float) -> None:
        elapsed = now - self._begun
        speed = self._done / elapsed if elapsed else None
        left = None
        if speed and self._total and self._done < self._total:
            left = (self._total - self._done) / speed
        pace = _pace(speed, left, self._unit) if left else f"done in {duration(elapsed)}"
        parts = [_done(self._done, self._total, self._unit), _figures(self._known), pace]
        line = f"{self._title}: {', '.join(part for part in parts if part)}"
        self._console.print(line, markup=False, soft_wrap=True)
        self._last, self._said = now, self._done


class Json:
    """One JSON object a step, for another program."""

    def __init__(self, console: Rich):
        self._console = console

    @contextmanager
    def task(self, title: str, total: int | None, unit: str) -> Iterator[listener.Progress]:
        """Write an event when the task begins, at every advance, and when it ends."""
        task = _JsonTask(self._console, title, total, unit)
        task.say("begin")
        yield task
        task.say("end")


class _JsonTask:
    def __init__(self, console: Rich, title: str, total: int | None, unit: str):
        self._console = console
        self._begun = time.perf_counter()
        self._fields: dict[str, object] = {"task": title, "total": total, "unit": unit}
        self._done = 0

    def advance(self, amount: int = 1, **figures: float) -> None:
        self._done += amount
        self.say("progress", figures)

    def say(self, event: str, figures: Mapping[str, float] | None = None) -> None:
        seconds = round(time.perf_counter() - self._begun, 3)
        fields = {"event": event, **self._fields, "done": self._done, "seconds": seconds}
        self._console.file.write(json.dumps({**fields, **(figures or {})}) + "\n")
        self._console.file.flush()


DISPLAYS: dict[str, type[Bar] | type[Plain] | type[Json]] = {
    "bar": Bar,
    "plain": Plain,
    "json": Json,
}


def _done(done: float, total: float | None, unit: str) -> str:
    if total is None:
        return f"{done:,.0f} {unit}".rstrip() if done else ""
    return f"{done:,.0f}/{total:,.0f} {unit}".rstrip()


def _pace(speed: float | None, left: float | None, unit: str) -> str:
    if not speed:
        return ""
    rate = f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"
    pace = f"{rate} {unit or 'steps'}/s"
    return f"{pace}, {duration(left)} left" if left is not None else pace


def _figures(figures: Mapping[str, float]) -> str:
    return " ".join(f"{name} {value:.4g}" for name, value in figures.items())
