"""With how much of a trained network a run began, in its log: its rates depend on it. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskfree.run import Run

__all__ = ["began_with", "beginning_of", "note_beginning"]

_KEY, _WORDS = "began", "begins"
_USUAL = "backbone"
"""Of runs whose log does not say it: what they began with then is in their state."""
_KINDS = ("whole", "backbone", "fresh")


def note_beginning(run: Run, kind: str, words: str) -> None:
    """Write into a run's log what it begins with, see `maskfree.model.initial.Pretrained.kind`."""
    run.append({_KEY: kind, **({_WORDS: words} if words else {})})


def began_with(run: Run | None) -> str:
    """Return what a run that is taken up began with; its own word, where its log has one."""
    said = [] if run is None else [each.get(_KEY) for each in run.records()]
    known = [each for each in said if each in _KINDS]
    return str(known[-1]) if known else _USUAL


def beginning_of(run: Run) -> str:
    """Return in words what was made of the weights that a run began with; empty: there are none."""
    said = [each[_WORDS] for each in run.records() if isinstance(each.get(_WORDS), str)]
    return said[-1] if said else ""
