"""Keys that press the widget's buttons, wherever in the window the focus is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.settings import get_plugin_settings
from napari.utils.notifications import show_info
from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractButton

from napari_maskfree._qt.section import tip_of
from napari_maskfree.keys import KEYS

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = ["Shortcuts"]

_PLUGIN = "napari-maskfree"


class Shortcuts(QObject):
    """One `QShortcut` a name; the keys are those of napari's preferences, as they are now."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._parent = parent
        self._made: dict[str, QShortcut] = {}
        self._buttons: dict[str, QAbstractButton] = {}
        self._chosen = _preferences()
        if self._chosen is not None:
            self._chosen.events.connect(self._changed)

    def add(self, name: str, target: QAbstractButton | Callable[[], object]) -> None:
        """Let the key of ``name`` press a button, or call a function."""
        made = QShortcut(self._parent)
        made.setContext(Qt.ShortcutContext.WindowShortcut)
        self._made[name] = made
        if isinstance(target, QAbstractButton):
            self._buttons[name] = target
            made.activated.connect(lambda: _press(target))
        else:
            made.activated.connect(target)
        self._set(name)

    def key(self, name: str) -> str:
        """Return the key of ``name`` as people read it; empty where it has none."""
        return self._made[name].key().toString(QKeySequence.SequenceFormat.NativeText)

    def close(self) -> None:
        """Let go of napari's preferences."""
        if self._chosen is not None:
            self._chosen.events.disconnect(self._changed)

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


def _press(button: QAbstractButton) -> None:
    """Press a button as the mouse would; where that cannot be, say why."""
    if button.isEnabled():
        button.click()
    elif button.toolTip():
        show_info(button.toolTip())


def _preferences() -> object | None:
    """Return the keys of napari's preferences; None where the plugin is not registered."""
    try:
        return get_plugin_settings(_PLUGIN).keys
    except (KeyError, AttributeError):
        return None
