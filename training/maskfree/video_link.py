"""Where a session's video is and how it is opened; found again when both are moved together."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, nearest
from maskfree.json_checks import as_number, as_object, show

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["VideoLink"]

_OPTIONS = ("axes", "depth", "channels", "fps")
_FIELDS = ("path", "relative", "options")
_MOST = 2**31
_RIGHT: dict[str, Callable[[Any], bool]] = {
    "axes": lambda value: isinstance(value, str),
    "depth": lambda value: _is_whole(value),
    "channels": lambda value: isinstance(value, list | tuple) and all(map(_is_whole, value)),
    "fps": lambda value: as_number(value) is not None,
}
"""What makes each of them right."""


@dataclasses.dataclass(frozen=True)
class VideoLink:
    """A link from a session's folder to its video.

    ``path`` is absolute, ``relative`` counts from the session's folder (with ``/`` on every
    system; None across the drives of Windows). Both are None for frames that exist in memory only.
    ``options`` are those of `maskfree.video.open_video`: ``axes``, ``depth``, ``channels``,
    ``fps``. ``extra`` keeps the fields of the file that we do not know, those of its options under
    ``extra["options"]``.
    """

    path: str | None
    relative: str | None
    options: Mapping[str, Any]
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def make(
        cls,
        folder: Path,
        source: str | os.PathLike[str] | None,
        options: Mapping[str, Any] | None = None,
    ) -> VideoLink:
        """Link the session in ``folder`` to ``source``.

        Raises
        ------
        InputError
            For an unknown option.
        """
        chosen = _checked_options(options or {}, "")
        if source is None:
            return cls(None, None, chosen)
        absolute = os.path.abspath(source)
        try:
            relative = Path(os.path.relpath(absolute, folder)).as_posix()
        except ValueError:  # another drive of Windows
            relative = None
        return cls(absolute, relative, chosen)

    def to(
        self,
        folder: Path,
        source: str | os.PathLike[str] | None,
        options: Mapping[str, Any] | None = None,
    ) -> VideoLink:
        """Return the link of the same session to ``source``; ``options``: None to keep them.

        Raises
        ------
        InputError
            For an unknown option.
        """
        made = VideoLink.make(folder, source, self.options if options is None else options)
        return dataclasses.replace(made, extra=self.extra)

    @classmethod
    def from_json(cls, data: object, where: str) -> VideoLink:
        """Check and return what a session file says about its video.

        Raises
        ------
        InputError
            For a wrong type; ``where`` begins the message.
        """
        fields = as_object(data, f"{where}: video", "the video", "path")
        options = as_object(
            fields.get("options") or {}, f"{where}: video: options", "options", "axes"
        )
        known = {name: options.pop(name) for name in _OPTIONS if name in options}
        extra = {name: value for name, value in fields.items() if name not in _FIELDS}
        return cls(
            _text(fields.get("path"), where, "path"),
            _text(fields.get("relative"), where, "relative"),
            _checked_options(known, f"{where}: video: "),
            {**extra, "options": options} if options else extra,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the link as plain values."""
        options = {**self.extra.get("options", {}), **self.options}
        return {
            **self.extra,
            "path": self.path,
            "relative": self.relative,
            "options": options,
        }

    def find(self, folder: Path) -> str | None:
        """Return where the video is: the absolute path, else the relative one from ``folder``.

        Where it is at neither, this is the absolute path, where it was.
        """
        if self.path is None or os.path.exists(self.path) or self.relative is None:
            return self.path
        beside = os.path.abspath(folder / self.relative)
        return beside if os.path.exists(beside) else self.path

    def leads_to(self, source: str | os.PathLike[str], folder: Path) -> bool:
        """Return whether the link, seen from ``folder``, leads to ``source``."""
        found = self.find(folder)
        if found is None:
            return False
        if os.path.exists(found) and os.path.exists(source):
            return os.path.samefile(found, source)
        return os.path.normcase(found) == os.path.normcase(os.path.abspath(source))


def _checked_options(options: Mapping[str, Any], where: str) -> dict[str, Any]:
    for name in options:
        if name not in _OPTIONS:
            raise InputError(
                f'{where}a video option must be one of {", ".join(_OPTIONS)}, got "{name}".'
                f"{nearest(name, _OPTIONS)}"
            )
    chosen = {name: value for name, value in options.items() if value is not None}
    for name, is_right in _RIGHT.items():
        if name in chosen and not is_right(chosen[name]):
            raise InputError(
                f"{where}the video option {name} cannot be {show(chosen[name])}. Correct it, or "
                "leave it out."
            )
    if "channels" in chosen:
        chosen["channels"] = tuple(chosen["channels"])
    return chosen


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _MOST


def _text(value: object, where: str, field: str) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise InputError(
        f"{where}: video: {field} must be a path or null, got {show(value)}. Correct it."
    )
