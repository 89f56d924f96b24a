"""What a person sees of a command: a progress bar, one-line messages, tables, UTF-8 everywhere."""

from __future__ import annotations

import io
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["ProgressBar", "clock", "one_line", "say", "table", "use_utf8"]

LINE_EVERY = 10.0
"""Seconds between two lines of progress where stderr is not a terminal."""
DRAWN_EVERY = 0.1
"""Seconds between two pictures of what comes before, on a terminal."""
_MINUTE, _HOUR = 60, 3600
_BAR = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"


def use_utf8() -> None:
    """Write UTF-8 to stdout and stderr, also where Windows or the locale would not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.encoding.lower().replace("-", "") != "utf8":
                stream.reconfigure(encoding="utf-8")
            stream.reconfigure(errors="backslashreplace")


def one_line(text: object) -> str:
    """Return the text without line breaks and runs of blanks."""
    return " ".join(str(text).split())


def printable(text: str) -> str:
    """Return the text with its control characters spelt out: a file may hold a label with any."""
    if text.isprintable():
        return text
    spelt = (
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
    return "".join(spelt)


def say(kind: str, text: object) -> None:
    """Print one line on stderr: ``maskfree: error: …``; ``kind`` may be empty."""
    prefix = f"maskfree: {kind}: " if kind else "maskfree: "
    print(prefix + printable(one_line(text)), file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Return a duration as ``m:ss`` or ``h:mm:ss``."""
    total = max(0, round(seconds))
    hours, minutes = total // _HOUR, total % _HOUR // _MINUTE
    rest = f"{total % _MINUTE:02d}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a plain table, its columns as wide as they need be; numbers to the right."""
    cells = [[printable(str(value)) for value in row] for row in rows]
    widths = [max(len(line[n]) for line in [list(header), *cells]) for n in range(len(header))]
    columns = list(zip(*rows, strict=True))
    numeric = [all(isinstance(value, int | float) for value in column) for column in columns]
    lines = []
    for line in [list(header), *cells]:
        padded = (
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(line, widths, numeric, strict=True)
        )
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


class ProgressBar:
    """Progress of a long job on stderr: a bar on a terminal, elsewhere a line now and then.

    Parameters
    ----------
    title
        What is being done, as ``fine-tuning``.
    unit
        What is counted, as ``step``.
    """

    def __init__(self, title: str, unit: str) -> None:
        self._title, self._unit = title, unit
        self._bar: Any = None
        self._last_line = 0.0
        self._begun = time.monotonic()
        self._drawn = 0.0
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=0, desc=f"{title} (getting ready)", bar_format="{desc}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if self._bar is not None:
            self._bar.leave = failed is None and self._bar.n > 0
            self._bar.close()

    def prepare(self, what: str, done: int, total: int) -> None:
        """Show how far it is with what comes before the first unit: ``what`` names that.

        Where there is no terminal it says nothing of what takes but a moment.
        """
        text = f"{self._title}: {what} {done}/{total}"
        now = time.monotonic()
        if self._bar is not None:
            if done == total or now - self._drawn >= DRAWN_EVERY:
                self._drawn = now
                self._bar.set_description_str(text)
        elif now - self._begun >= LINE_EVERY and self._is_time():
            say("", text)

    def update(self, done: int, total: int, *, seconds_left: float, note: str = "") -> None:
        """Show that ``done`` of ``total`` are finished, with time left and a ``note`` (a loss)."""
        left = f"{clock(seconds_left)} left"
        text = ", ".join(part for part in (note, left) if part)
        if self._bar is not None:
            self._bar.bar_format, self._bar.total, self._bar.n = _BAR, total, done
            self._bar.set_description(self._title, refresh=False)
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.refresh()
            return
        if done == total or self._is_time():
            say("", f"{self._title}: {self._unit} {done}/{total}, {text}")

    def _is_time(self) -> bool:
        """Whether a line is due; the next one is then due later."""
        now = time.monotonic()
        due = now - self._last_line >= LINE_EVERY
        if due:
            self._last_line = now
        return due
