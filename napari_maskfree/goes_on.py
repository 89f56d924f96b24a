"""Which run the next one may go on from, as quickly as a window has to know it. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.told_frames import taught_digest, told_digest

if TYPE_CHECKING:
    from maskfree.session import Session
    from napari_maskfree.correction_book import CorrectionBook

__all__ = ["GoesOn"]


class GoesOn:
    """Asks whether somebody corrected masks since the newest run; nothing large is read for it.

    Settings, boxes and the network matter as well (`maskfree.start.plan_start`): who asks knows
    himself whether those have changed since. Call :meth:`close` when nobody asks any more.
    """

    def __init__(self, corrections: CorrectionBook) -> None:
        self._corrections = corrections
        self._digest: str | None = None
        corrections.changed.connect(self._changed)

    def close(self) -> None:
        """Hear nothing more."""
        self._corrections.changed.disconnect(self._changed, missing_ok=True)

    def __call__(self, session: Session | None, start: str) -> str | None:
        """Return the name of the run that the next may go on from; None: it begins afresh.

        Parameters
        ----------
        start
            "auto", "last" or "fresh".
        """
        run = None if session is None or start == "fresh" else session.latest_run()
        if run is None or start == "last":
            return None if run is None else run.name
        told = told_digest(run)
        return run.name if told is not None and told != self._taught() else None

    def _taught(self) -> str:
        if self._digest is None:
            self._digest = taught_digest(self._corrections.items())
        return self._digest

    def _changed(self, _frames: tuple[int, ...]) -> None:
        self._digest = None
