"""Banks of simulations: their beginning, continuation and extension."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from abi_cli import __version__, placing
from abi_cli.bank import Bank, BankRecord, Share, Span, length
from abi_cli.bank.bank import is_bank
from abi_cli.data.files import is_pipe
from abi_cli.digits import duration, weight
from abi_cli.errors import RunError, UsageError
from abi_cli.listener import SILENT, Listener
from abi_cli.model.failing import where
from abi_cli.model.failures import Failure
from abi_cli.model.making import Part, Work
from abi_cli.model.repeating import alike
from abi_cli.model.streams import Purpose
from abi_cli.run import room
from abi_cli.run.lock import LOCK, locked
from abi_cli.variables import Layout, concatenate, count, take
from abi_cli.workflow.checking.findings import noise_findings
from abi_cli.workflow.learning.copies import files_of
from abi_cli.workflow.request import USUAL_COMPUTE, Compute, Model, Target, read_model, tell_files
from abi_cli.workflow.simulating import (
    PILOT,
    WORTH_WORKERS,
    Pace,
    fixed_context,
    parts_of,
    pilot,
    size_of,
    until,
)

SHARD_BYTES = 1 << 25
"""Bytes of a shard, which is gathered in memory before it is written."""

SHARD_SECONDS = 30.0
"""Seconds of simulation by all workers in a shard: an interruption loses no more."""

WHOLE = Share()


@dataclass(frozen=True)
class Order:
    """The order for a bank: its rows, and this machine's share of them.

    Arguments:
        rows: Number of rows, of all machines together.
        share: The part of them that this machine makes.
        context: Context variables to hold fixed, as `NAME=VALUE`.
        dry: Only say how long it would take, and how large it would be.
    """

    rows: int
    share: Share = WHOLE
    context: Sequence[str] = ()
    dry: bool = False


@dataclass(frozen=True)
class Filled:
    """The result of an order.

    Arguments:
        rows: Number of rows that the bank has now.
        made: Number of rows made by this command.
        missing: Number of rows that this machine was to make and has not.
        bytes: Bytes of the shards.
        failures: Draws that failed on the way to all rows.
        where: A sentence on where they fail.
        seconds: Seconds that it took; of a dry order, that it would take.
        workers: Number of processes that simulated.
    """

    path: Path
    seed: int
    names: tuple[str, ...]
    rows: int
    made: int
    missing: int
    bytes: int
    failures: int
    where: str
    seconds: float
    workers: int
    dry: bool = False


def is_for_bank(output: str, format: str | None) -> bool:
    """True if `-o` names the folder of a bank: no file that has a format.

    Arguments:
        output: As it was typed; a slash at its end says that it is a folder.
        format: As `--format` says it.
    """
    path = Path(output)
    if format is not None or output in ("", "-") or path.is_file() or is_pipe(path):
        return False
    return output.endswith("/") or path.is_dir() or not path.suffix


def fill_bank(
    source: Path,
    order: Order,
    target: Target,
    *,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    compute: Compute = USUAL_COMPUTE,
    listener: Listener = SILENT,
) -> Filled:
    """Simulate the rows of a bank that are not there yet.

    The same command goes on after an interruption; one for more rows extends the bank.

    Arguments:
        source: A spec or a run folder.
        target: The folder of the bank; `force` moves one that is there to NAME.bak. A dry order
            needs none.

    Errors:
        RunError: There is a bank of another model, or somebody else fills it.
        SpecError, UserFunctionError, OutputError: As they say.
    """
    begun = time.perf_counter()
    path = Path() if target.path is None else target.path
    if target.path is None and not order.dry:
        raise UsageError("expected a folder for a bank; got standard output")
    model = read_model(source, overrides=overrides)
    simulator = model.need_simulator()
    if source.is_dir():
        tell_files(model, listener)
    seed = model.spec.seed if seed is None else seed
    work = Work(simulator, seed, Purpose.SIMULATE, fixed_context(order.context))
    files = files_of(model, seed, work.context)
    filling = _Filling(path, model, work, files, order, compute, listener)
    with ExitStack() as stack:
        bank = _there(target, dry=order.dry)
        if bank is not None:
            bank.refuse_another(files, hint="--force begins anew; -o names another folder.")
            if not order.dry:
                stack.enter_context(_alone(path, order.share))
            _warn_of_versions(bank, listener)
            _refuse_other_rows(bank, work)
        else:
            for finding in noise_findings(model.spec, simulator, seed=seed):
                listener.warn(finding.message, hint=finding.hint)
        mine = order.share.of_rows(order.rows, unit=simulator.unit)
        missing = mine if bank is None else bank.missing(mine)
        if order.dry:
            return _forecast(filling, bank, missing)
        made = filling.fill(bank, missing, stack)
    bank = Bank.open(path)
    failed = [Failure.of(document) for document in bank.failures()]
    drawn = work.prior_rows() if failed else {}
    return Filled(
        path,
        seed,
        tuple(variable.name for variable in bank.record.layout.variables),
        bank.rows,
        made,
        length(bank.missing(mine)),
        bank.size,
        len(failed),
        where(failed, drawn) if failed else "",
        time.perf_counter() - begun,
        compute.workers(),
    )


def _there(target: Target, *, dry: bool) -> Bank | None:
    """The bank that is at a place, if it is not to be begun anew.

    Errors:
        UsageError, OutputError: Something else is there, or nothing can be.
    """
    path = target.path
    if path is None or (dry and not is_bank(path)):
        return None
    if is_bank(path):
        if not target.force:
            return Bank.open(path)
        if not dry:
            with locked(path, doing="filled"), placing.writing(path):
                placing.back_up(path)
        return None
    room.refuse_taken(path, force=False)
    room.refuse_nowhere(path)
    placing.refuse_locked(path)
    return None


@contextmanager
def _alone(path: Path, share: Share) -> Iterator[None]:
    """A lock on rows of a bank, so that nobody else makes the same.

    Errors:
        RunError: Somebody does.
    """
    part = f"{LOCK}-{share.part}-of-{share.parts}"
    several = share.parts > 1
    own = locked(path, doing="filled", name=part) if several else nullcontext()
    with locked(path, doing="filled", shared=several), own:
        yield


def _refuse_other_rows(bank: Bank, work: Work) -> None:
    """Refuse to go on where the first rows that are there are not those that are made now.

    Errors:
        RunError: They are others: something that the files don't show has changed.
    """
    if not bank.pieces:
        return
    start, stop = bank.pieces[0].rows
    stop = min(stop, start + work.simulator.unit)
    before, now = bank.read(start, stop), work((start, stop)).rows
    if before.keys() == now.keys() and all(alike(before[name], now[name]) for name in before):
        return
    raise RunError(
        f"row {start} of {bank.path} is another when it is simulated now, though spec and code are "
        "the same",
        hint="Has a package, or a file that the functions read, changed? --force begins anew.",
    )


def _warn_of_versions(bank: Bank, listener: Listener) -> None:
    now = _versions()
    changed = [
        f"{name} {before} is now {now[name]}"
        for name, before in bank.record.versions.items()
        if name in now and now[name] != before and name != "abi"
    ]
    if changed:
        listener.warn(f"{', '.join(changed)}: rows may differ from those that were made before")


def _versions() -> dict[str, str]:
    return {
        "abi": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy")},
    }


def _forecast(filling: _Filling, bank: Bank | None, missing: Sequence[Span]) -> Filled:
    """Time and size of the missing rows, after a few rows that are not kept."""
    work, compute, rows = filling.work, filling.compute, length(missing)
    pace, layout = Pace(1, 0.0, 0), bank.record.layout if bank else Layout(())
    if rows:
        first = missing[0][0]
        pace, drawn = pilot(work, first, min(first + PILOT, missing[0][1]))
        layout = work.simulator.layout(drawn) if bank is None else layout
    worth = compute.is_remote or pace.duration(rows, 1) > WORTH_WORKERS
    workers = compute.workers() if worth else 0
    there = bank.rows if bank else 0
    return Filled(
        filling.path,
        work.seed,
        tuple(variable.name for variable in layout.variables),
        there,
        0,
        rows,
        pace.size(rows) + (bank.size if bank else 0),
        0,
        "",
        pace.duration(rows, workers),
        workers,
        dry=True,
    )


@dataclass
class _Filling:
    """An order at work."""

    path: Path
    model: Model
    work: Work
    files: dict[str, bytes]
    order: Order
    compute: Compute
    listener: Listener
    shard_rows: int = 0
    held: list[Part] = field(default_factory=list)
    held_rows: int = 0
    held_bytes: int = 0
    writer: ThreadPoolExecutor = field(default_factory=partial(ThreadPoolExecutor, 1, "shards"))
    written: Future[None] | None = None

    def fill(self, bank: Bank | None, missing: Sequence[Span], stack: ExitStack) -> int:
        """Make rows and keep them; gives their number.

        What is whole is kept whatever ends it. A shard is written by a thread while the next one
        is simulated: NumPy's generators and checksums both leave Python to others. A function
        that draws 100 normals a row, 1,024 rows at a time, so fills a bank at 68 % of its own speed
        (60 % without the thread; in chunks of 32, 57 % either way).
        """
        made, rows = 0, length(missing)
        if bank is not None:
            bank = bank.asked_for(self.order.rows)
        if not rows:
            return 0
        with self.listener.task("simulating", rows, "data sets") as progress:
            try:
                for part in parts_of(
                    self.work, missing, compute=self.compute, paced=partial(self._tell, rows)
                ):
                    if self.held and part.start != self.held[-1].stop:
                        bank = self._keep(bank, stack)
                    self.held.append(part)
                    self.held_rows += count(part.rows)
                    self.held_bytes += size_of(part.rows)
                    made += count(part.rows)
                    progress.advance(count(part.rows))
                    if self._is_full():
                        bank = self._keep(bank, stack)
            except (KeyboardInterrupt, SystemExit):
                self.listener.note(f"{made:,} data sets are kept: the same command goes on")
                raise
            finally:
                with self.writer:
                    self._keep(bank, stack)
                    self._wait()
        return made

    def _is_full(self) -> bool:
        if self.shard_rows and self.held_rows >= self.shard_rows:
            return True
        return self.held_bytes >= SHARD_BYTES

    def _keep(self, bank: Bank | None, stack: ExitStack) -> Bank | None:
        """Have the rows held in memory written as a shard, once the one before it is."""
        self._wait()
        if not self.held:
            return bank
        parts = [part.rows for part in self.held]
        if bank is None:
            first = concatenate(until(parts, PILOT))
            bank = self._create(self.work.simulator.layout(take(first, slice(0, PILOT))))
            stack.enter_context(_alone(self.path, self.order.share))
        failures = [failure for part in self.held for failure in part.failures.kept]
        self.written = self.writer.submit(bank.add, self.held[0].start, parts, failures)
        self.held.clear()
        self.held_rows = self.held_bytes = 0
        return bank

    def _wait(self) -> None:
        """Wait for the shard that is being written.

        Errors:
            OutputError: It could not be.
        """
        written, self.written = self.written, None
        if written is not None:
            written.result()

    def _create(self, layout: Layout) -> Bank:
        record = BankRecord(
            name=self.model.spec.name,
            seed=self.work.seed,
            rows=self.order.rows,
            unit=self.work.simulator.unit,
            command=("abi", *sys.argv[1:]),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            versions=_versions(),
            hashes={name: sha256(content).hexdigest() for name, content in self.files.items()},
            layout=layout,
        )
        bank = Bank.create(self.path, record, self.files)
        bank.refuse_another(self.files, hint="-o names another folder.")
        return bank

    def _tell(self, rows: int, pace: Pace, begun: bool) -> None:
        """Note after the first rows the time of the others, and set the rows of a shard by it."""
        workers = self.compute.workers() if begun else 0
        unit = self.work.simulator.unit
        by_size = SHARD_BYTES * pace.rows // max(pace.bytes, 1)
        by_time = SHARD_SECONDS * max(workers, 1) * pace.rows / max(pace.seconds, 1e-9)
        self.shard_rows = max(1, int(min(by_size, by_time)) // unit) * unit
        self.listener.note(_pace_note(pace, rows, workers))


def _pace_note(pace: Pace, rows: int, workers: int) -> str:
    by = f"{workers} processes" if workers > 1 else "one process"
    took = duration(pace.duration(rows, workers))
    return f"{rows:,} data sets take about {took} on {by}, and {weight(pace.size(rows))}"
