"""The one exception that means "the input is at fault, and here is what to do"."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["InputError", "InputWarning", "nearest"]


class InputError(ValueError):
    """Input that a person can mend: the message says what was expected, what came, what to do.

    The command line turns it into one line on stderr and exit code 2, the plugin into a
    notification.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return `` Did you mean "x"?`` for the closest valid name, else an empty string."""
    close = difflib.get_close_matches(name, list(valid), n=1, cutoff=0.4)
    return f' Did you mean "{close[0]}"?' if close else ""


class InputWarning(UserWarning):
    """Input that was accepted after a change (a box clipped to the frame); shown, never fatal."""
