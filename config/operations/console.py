"""Input and output of commands: progress bars, tables, questions and arguments."""

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

Advance = Callable[[int], None]


def confirmed(question: str) -> bool:
    """Ask for a yes at the terminal; without a terminal, the answer is no."""
    if not sys.stdin.isatty():
        return False
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


@contextmanager
def progress(what: str, total: int | None, stream: IO[str] | None = None) -> Iterator[Advance]:
    """A bar on stderr, so that it never gets into what a command prints; without a total, a count.

    Yields the function that takes how much more is done.
    """
    stream = stream or sys.stderr
    if not stream.isatty():
        yield lambda more: None
        return
    from rich.console import Console  # slow to import, as all of rich: commands alone need it, and only here
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda more: bar.advance(task, more)


def table(stream: Any, headings: list[str], rows: list[list[str]], styles: list[str] | None = None) -> None:
    """A table on a terminal; `styles` has one for each row."""
    # Django wraps the stream.
    if not stream.isatty():
        for row in rows:
            stream.write("  ".join(cell for cell in row if cell))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(*headings, title_justify="left")
    for row, style in zip(rows, styles or [""] * len(rows), strict=True):
        shown.add_row(*map(Text, row), style=style)  # Text: brackets in a cell are no markup
    Console(file=getattr(stream, "_out", stream)).print(shown)


@contextmanager
def working(what: str) -> Iterator[None]:
    """A spinner on a terminal, for work without known progress."""
    with progress(what, None):
        yield


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not minimum <= int(text) <= maximum:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {minimum} to {maximum}")
        return int(text)

    return parse
