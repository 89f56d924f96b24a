"""Where the parts of a YOLO folder lie: labels, ids, the names of classes."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import list_names
from maskfree.formats.box_files import Said, read_head
from maskfree.json_checks import as_number, show
from maskfree.storage import open_bytes, reading
from maskfree.video_folder import natural_key

if TYPE_CHECKING:
    from pathlib import Path


__all__ = ["DATA", "IDS", "LABELS", "OWN", "SUFFIX", "Layout"]

DATA, CLASSES, DARKNET = "data.yaml", ("classes.txt", "obj.names"), "obj.data"
LABELS, IDS, SUFFIX = "labels", "track_ids", ".txt"
OWN = "napari_maskfree"
"""What we add to ``data.yaml``: the video's size and frames a second, and the export's mark."""
_ABOVE = 2
"""Folders above the labels in which the names of classes are looked for."""
_NO_CLASS = "class {}"


class Layout:
    """Where the parts of a folder lie, and what ``data.yaml`` says.

    ``labels``: the folder of label files; ``names``: of the classes; ``said``: of the video;
    ``mark``: of an export of ours, else empty.

    Raises
    ------
    InputError
        Where there is no such folder, or ``data.yaml`` is no YAML.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            there = "is a file" if path.exists() else "does not exist"
            raise InputError(f"{path} {there}. Give the folder that holds {LABELS}.")
        self.labels = path / LABELS if (path / LABELS).is_dir() else path
        ids = self.labels.parent / IDS
        self.ids = ids if ids.is_dir() else None
        data = self._data()
        self.names = _names(data.get("names")) or self._classes()
        own = data.get(OWN)
        self._own = own if isinstance(own, dict) else {}
        self.mark = str(self._own.get("mark", ""))
        self.said = Said(None, self._whole("height"), self._whole("width"), self._fps())
        self._files: dict[str, str] = {}

    def _near(self, name: str) -> Path | None:
        here = self.labels.absolute()
        folders = [here, *here.parents][: _ABOVE + 1]
        return next((each / name for each in folders if (each / name).is_file()), None)

    def _data(self) -> dict[str, Any]:
        path = self._near(DATA)
        if path is None:
            return {}
        import yaml

        where = f"{DATA} {path}"
        with open_bytes(path, DATA) as file:
            text = read_head(file, where)
        try:
            # Text alone: no dates, no objects, nothing that runs.
            data = yaml.load(text, Loader=yaml.BaseLoader)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"The {where} is no YAML ({show(reason)}). Mend it.") from None
        return data if isinstance(data, dict) else {}

    def _classes(self) -> dict[int, str]:
        path = next((found for name in CLASSES if (found := self._near(name))), None)
        if path is None:
            return {}
        with open_bytes(path, path.name) as file:
            text = read_head(file, f"{path.name} {path}")
        return {n: line.strip() for n, line in enumerate(text.splitlines()) if line.strip()}

    def _number(self, name: str) -> float | None:
        try:
            return as_number(float(str(self._own.get(name))))
        except ValueError:
            return None

    def _whole(self, name: str) -> int | None:
        value = self._number(name)
        return None if value is None or value < 1 else int(value)

    def _fps(self) -> float | None:
        value = self._number("fps")
        return value if value and value > 0 else None

    def files(self) -> dict[str, str]:
        """Return stem to path of the label files, from ``labels`` on, in natural order.

        Raises
        ------
        InputError
            Where there is none, and where two subsets have one of the same name.
        """
        folder = self.labels
        found, folders = _listed(folder)
        if not found or (folder / DARKNET).is_file():
            found = [
                os.path.join(part, name) for part in folders for name in _labels_in(folder, part)
            ]
        elif passed := [part for part in folders if _labels_in(folder, part)]:
            _warn(
                f"{folder}: only its own label files are read, not those in {list_names(passed)}. "
                "Put all into subsets, or none."
            )
        if not found:
            inside = f" Its folders are {list_names(folders)}." if folders else ""
            raise InputError(
                f"{folder} holds no label file ({SUFFIX}).{inside} Give the folder with one a "
                "frame."
            )
        by_stem: dict[str, str] = {}
        for name in found:
            other = by_stem.setdefault(_stem(name), name)
            if other != name:
                raise InputError(
                    f"{folder} has {other} and {name}, which are of one frame. Give the folder of "
                    "one subset."
                )
        self._files = {stem: by_stem[stem] for stem in sorted(by_stem, key=natural_key)}
        return self._files

    def path_of(self, stem: str) -> Path:
        """Return the path of a frame's label file."""
        return self.labels / self._files.get(stem, f"{stem}{SUFFIX}")

    def label(self, kind: int) -> str:
        """Return the name of a class."""
        return self.names.get(kind, _NO_CLASS.format(kind))

    def ids_of(self, stem: str) -> list[int] | None:
        """Return the ids of a file's shapes, in its order; None where none are kept.

        Raises
        ------
        InputError
            Where they are no ids.
        """
        if self.ids is None:
            return None
        path = self.ids / f"{stem}{SUFFIX}"
        if not path.is_file():
            return None
        where, most = f"file of track ids {path}", FormatConfig().line_bytes
        with open_bytes(path, "file of track ids") as file, reading(where):
            words = file.read(most).split()
        if not all(word.isdigit() and 0 < int(word[:20]) < 2**63 for word in words):
            raise InputError(f"The {where} must hold a whole number from 1 a line. Correct it.")
        return [int(word) for word in words]


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """Return the names of the label files and, sorted, of the folders in ``folder``."""
    with reading(f"folder {folder}"), os.scandir(folder) as entries:
        found, folders = list[str](), list[str]()
        for each in entries:
            if each.is_dir():
                folders.append(each.name)
            elif _is_label(each.name):
                found.append(each.name)
    return found, sorted(folders)


def _labels_in(folder: Path, part: str) -> list[str]:
    return _listed(folder / part)[0]


def _stem(name: str) -> str:
    return os.path.splitext(os.path.basename(name))[0]


def _is_label(name: str) -> bool:
    return name.endswith(SUFFIX) and name not in CLASSES and not name.startswith(".")


def _names(value: object) -> dict[int, str]:
    if isinstance(value, list):
        return {n: str(name) for n, name in enumerate(value)}
    if not isinstance(value, dict):
        return {}
    return {int(n): str(name) for n, name in value.items() if re.fullmatch(r"\d{1,9}", str(n))}


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=4)
