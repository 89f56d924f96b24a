"""Keys that press the widget's buttons, wherever in the window the focus is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.settings import get_plugin_settings
from napari.utils.notifications import show_info
from npe2 import PluginManager
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractButton

from napari_maskfree._qt.section import Panel, tip_of
from napari_maskfree.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = ["Shortcuts"]

_PLUGIN = "napari-maskfree"
_STEPS = ("next_track", "previous_track", "next_keyframe", "previous_keyframe", "undo", "redo")
"""They go on while the key is held."""


class Shortcuts(QObject):
    """One `QShortcut` a name; the keys are those of napari's preferences, as they are now."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._parent = parent
        self._made: dict[str, QShortcut] = {}
        self._buttons: dict[str, QAbstractButton] = {}
        self._chosen: object | None = None
        self._plugins = PluginManager.instance().events
        for signal in (self._plugins.plugins_registered, self._plugins.enablement_changed):
            signal.connect(self._soon)
        self._follow()

    def add(self, name: str, target: QAbstractButton | Callable[[], object]) -> None:
        """Let the key of ``name`` press a button, or call a function."""
        made = QShortcut(self._parent)
        made.setContext(Qt.ShortcutContext.WindowShortcut)
        made.setAutoRepeat(name in _STEPS)
        self._made[name] = made
        if isinstance(target, QAbstractButton):
            self._buttons[name] = target
            made.activated.connect(lambda: _press(target))
        else:
            made.activated.connect(target)
        made.activatedAmbiguously.connect(lambda: self._say_twice(name))
        self._set(name)

    def key(self, name: str) -> str:
        """Return the key of ``name`` as people read it; empty where it has none."""
        return self._made[name].key().toString(QKeySequence.SequenceFormat.NativeText)

    def move_to(self, window: QWidget) -> None:
        """Hear keys in all of ``window``, and in docks that float beside it."""
        for made in self._made.values():
            made.setParent(window)

    def close(self) -> None:
        """Hear nothing more, and let go of napari's preferences."""
        for signal in (self._plugins.plugins_registered, self._plugins.enablement_changed):
            signal.disconnect(self._soon, missing_ok=True)
        self._let_go()
        for made in self._made.values():
            if isalive(made):
                made.setParent(None)
                made.deleteLater()
        self._made.clear()

    # ---- inside

    def _follow(self) -> None:
        """Take the keys of napari's preferences, and follow their changes."""
        self._let_go()
        self._chosen = _preferences()
        if self._chosen is not None:
            self._chosen.events.connect(self._changed)  # type: ignore[attr-defined]
        self._changed()

    def _soon(self, *_: object) -> None:
        """Look again once napari has made its preferences anew."""
        QTimer.singleShot(0, lambda: self._follow() if isalive(self) and self._made else None)

    def _let_go(self) -> None:
        if self._chosen is not None:
            self._chosen.events.disconnect(self._changed)  # type: ignore[attr-defined]
            self._chosen = None

    def _set(self, name: str) -> None:
        text = str(getattr(self._chosen, name, KEYS[name][1]))
        sequence = QKeySequence(text)
        if text and not sequence.toString():
            show_info(f'"{text}" is no key that "{KEYS[name][0]}" could have. Try one like Alt+N.')
        self._made[name].setKey(sequence)
        if name in self._buttons:
            button = self._buttons[name]
            button.setProperty("key", self.key(name))
            if button.isEnabled():
                button.setToolTip(tip_of(button))

    def _changed(self, _event: object = None) -> None:
        for name in self._made:
            self._set(name)

    def _say_twice(self, name: str) -> None:
        show_info(
            f'The key {self.key(name)} of "{KEYS[name][0]}" has another meaning too. Choose one in '
            "File › Preferences."
        )


def _press(button: QAbstractButton) -> None:
    """Press a button as the mouse would; where that cannot be, say why."""
    if not button.isEnabled():
        show_info(button.toolTip())
    elif not _is_there(button):
        show_info("There is nothing to do that with now.")
    else:
        button.click()


def _is_there(button: QAbstractButton) -> bool:
    """Whether its panel shows a button, be the panel's section folded or not."""
    panel, above = button, button.parentWidget()
    while above is not None:
        panel, above = (above if isinstance(above, Panel) else panel), above.parentWidget()
    return button.isVisibleTo(panel) if panel is not button else not button.isHidden()


def _preferences() -> object | None:
    """Return the keys of napari's preferences; None where the plugin is not registered."""
    try:
        return get_plugin_settings(_PLUGIN).keys
    except (KeyError, AttributeError):
        return None
