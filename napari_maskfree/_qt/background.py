"""Work beside the window: one thread, results handed back in the main thread."""

from __future__ import annotations

import warnings
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, Qt, Signal

from maskfree.errors import InputWarning

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Background", "reported"]


class Background(QObject):
    """Runs functions one after the other in a thread of its own; joined by :meth:`close`."""

    _finished = Signal(object, object, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="maskfree")
        self._open = True
        # queued: work that is done at once is not handed back before `run` has returned
        self._finished.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def run(
        self,
        work: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[str], None] | None = None,
    ) -> Future[Any]:
        """Call ``work`` in the thread, then ``done`` with its result in the main thread.

        Neither is called before this returns. An error is shown as a notification, and ``failed``
        is called with its text.
        """
        future = self._pool.submit(work)
        future.add_done_callback(lambda f: self._open and self._finished.emit(f, done, failed))
        return future

    def close(self) -> None:
        """Drop what waits, wait for what runs."""
        self._open = False
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(
        self, future: Future[Any], done: Callable[[Any], None], failed: Callable[[str], None] | None
    ) -> None:
        if not self._open or future.cancelled():
            return
        try:
            ok, result = reported(future.result)
        except Exception as error:  # a fault of ours: who waits for it hears of its end
            if failed is not None:
                failed(str(error))
            raise
        if ok:
            done(result)
        elif failed is not None:
            failed(str(result))


def reported(call: Callable[..., Any], *arguments: Any) -> tuple[bool, Any]:
    """Call a function; show what is wrong with the input as a notification, never a traceback.

    Returns
    -------
    tuple
        (True, result), or (False, text of the error).
    """
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InputWarning)
            result = call(*arguments)
    except CancelledError:
        return False, ""
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        text = str(error) or type(error).__name__
        show_error(text)
        return False, text
    for warning in caught:
        if issubclass(warning.category, InputWarning):
            show_warning(str(warning.message))
    return True, result
