"""What is being done, on stderr: live on a terminal, else one line per stage with its seconds.

with progress.stage("building features", total=17) as step:
    for family in families:
        ...
        step()
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class Step(Protocol):
    """Call it when one of the parts of a stage, or `parts` of them, are done."""

    def __call__(self, parts: int = 1) -> None:
        """Count the parts as done."""


class Progress:
    """Tells a person what happens; silent when `quiet`."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._quiet = quiet
        self._stream = sys.stderr if stream is None else stream
        self._live = not quiet and self._stream.isatty()
        self._bars: Bars | None = None

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Step]:
        """Time a stage of the work; stages may lie inside one another.

        Args:
            name: what is being done, such as "building features".
            total: how many parts it has, if that is known.
        """
        start, done = time.monotonic(), 0
        with self._bar(name, total) as advance:

            def step(parts: int = 1) -> None:
                nonlocal done
                done += parts
                advance(parts)

            yield step
        parts = f" {done}/{total}" if total is not None else ""
        self.note(f"{name}{parts}, {time.monotonic() - start:.1f} s")

    def note(self, text: str) -> None:
        """Say one line."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False)
        elif not self._quiet:
            self.insist(text)

    def insist(self, text: str) -> None:
        """Say one line even when quiet: what nobody could find out later."""
        if self._bars is not None:
            self.note(text)
        else:
            print(text, file=self._stream, flush=True)

    @contextmanager
    def _bar(self, name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        if not self._live:
            yield lambda parts: None
            return
        outermost = self._bars is None
        bars = self._bars = self._bars or self._start()
        task = bars.add_task(name, total=total)
        try:
            yield lambda parts: bars.update(task, advance=parts)
        finally:
            bars.remove_task(task)
            if outermost:
                bars.stop()
                self._bars = None

    def _start(self) -> Bars:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as Bars

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        bars = Bars(*columns, console=Console(file=self._stream), transient=True)
        bars.start()
        return bars
