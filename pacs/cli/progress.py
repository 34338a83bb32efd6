"""How far a long command is: a bar on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import typer

_WINDOW_S = 30.0  # the rate is that of the last half minute
_REDRAW_EVERY_S = 0.5
_PLAIN_LINE_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How much is done, and of how much, where that is known."""

    items: int
    size_bytes: int
    total_items: int | None = None
    total_bytes: int | None = None

    @property
    def fraction(self) -> float | None:
        """Share that is done, by bytes if their total is known, else by items."""
        for done, total in ((self.size_bytes, self.total_bytes), (self.items, self.total_items)):
            if total is not None:
                return min(1.0, done / total) if total else 1.0
        return None


@dataclass(slots=True)
class Pace:
    """Tells rate and time left from what was measured lately."""

    unit: str  # "files", "objects"
    _seen: deque[tuple[float, Progress]] = field(default_factory=deque)

    def line(self, now_s: float, progress: Progress) -> str:
        """Put progress, rate and time left into one line; ``now_s`` is of a clock that only goes forward."""
        self._seen.append((now_s, progress))
        while len(self._seen) > 2 and now_s - self._seen[0][0] > _WINDOW_S:
            self._seen.popleft()
        begin_s, before = self._seen[0]
        items, size = f"{progress.items:,}", told_size(progress.size_bytes)
        if progress.total_items is not None:
            items += f" of {progress.total_items:,}"
        if progress.total_bytes is not None:
            size += f" of {told_size(progress.total_bytes)}"
        parts = [f"{items} {self.unit}", size]
        if elapsed_s := now_s - begin_s:
            parts.append(f"{(progress.items - before.items) / elapsed_s:,.0f} {self.unit}/s")
            parts.append(f"{told_size((progress.size_bytes - before.size_bytes) / elapsed_s)}/s")
            left_s = _left_s(before, progress, elapsed_s)
            left = "unknown time" if left_s is None else timedelta(seconds=round(left_s))
            parts.append(f"{left} left")
        return ", ".join(parts)


def told_size(size_bytes: float) -> str:
    """Write a number of bytes as people say it (decimal units)."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:,.0f} {unit}" if unit in ("bytes", "kB") else f"{size_bytes:,.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.2f} TB"


@contextmanager
def showing_progress(measure: Callable[[], Progress], unit: str) -> Iterator[None]:
    """Show while the block runs how far it is; ``measure`` is called by another thread."""
    over = threading.Event()
    show = _show_bar if sys.stderr.isatty() else _show_lines
    thread = threading.Thread(target=show, args=(measure, Pace(unit), over), name="progress")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _show_lines(measure: Callable[[], Progress], pace: Pace, over: threading.Event) -> None:
    pace.line(time.monotonic(), measure())
    while not over.wait(_PLAIN_LINE_EVERY_S):
        typer.echo(pace.line(time.monotonic(), measure()))


def _show_bar(measure: Callable[[], Progress], pace: Pace, over: threading.Event) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes a tenth of a second
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    columns = BarColumn(bar_width=24), TaskProgressColumn(), TextColumn("{task.description}")
    with Bar(*columns, console=Console(stderr=True), refresh_per_second=4) as bar:
        task = bar.add_task("", total=None)
        while True:
            progress = measure()
            total = None if progress.fraction is None else 1.0
            line = pace.line(time.monotonic(), progress)
            bar.update(task, completed=progress.fraction or 0.0, total=total, description=line)
            if over.wait(_REDRAW_EVERY_S):
                return


def _left_s(before: Progress, now: Progress, elapsed_s: float) -> float | None:
    """Estimate the time left; None while the total is not known, or nothing moves."""
    for total, done, done_before in (
        (now.total_bytes, now.size_bytes, before.size_bytes),
        (now.total_items, now.items, before.items),
    ):
        if total is not None:
            if done >= total:
                return 0.0
            return (total - done) * elapsed_s / (done - done_before) if done > done_before else None
    return None
