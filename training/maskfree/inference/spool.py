"""Results of the videos of a data set, kept one by one, and written as one file in the end.

The file is a JSON list. Evaluation servers take it as ``results.json`` in an archive without
folders.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import zipfile
from typing import TYPE_CHECKING, Any, TextIO

from maskfree.errors import InputError
from maskfree.storage import atomic_file, atomic_write, make_folder, read_json, writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["ResultsSpool"]

_SUFFIX = ".parts"
_ABOUT = "about.json"
_PART = re.compile(r"(\d{6})\.json")
_INSIDE = "results.json"
"""The name that the server looks for in the archive."""
_ZIP = ".zip"


class ResultsSpool:
    """A folder beside the results file that holds those of each video until all are there.

    A process that was killed leaves it, and the next one goes on from it.

    Parameters
    ----------
    out
        The results file; one that ends in ``.zip`` becomes an archive.
    about
        What the results are of, ready for JSON: weights, data set, settings.

    Raises
    ------
    InputError
        Where the folder holds results of something else, or cannot be written.
    """

    def __init__(self, out: Path, about: Mapping[str, Any]) -> None:
        self._out = out
        self.folder = out.with_name(out.name + _SUFFIX)
        known = self.folder / _ABOUT
        if not known.is_file():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise InputError(
                    f"{self.folder} is where results are kept until all are there, but it holds "
                    "something else. Choose another --out."
                )
            make_folder(self.folder)
            atomic_write(known, json.dumps(about, indent=1))
        elif read_json(known, "description") != json.loads(json.dumps(about)):
            raise InputError(
                f"{self.folder} holds results of other weights, data or settings (see {_ABOUT} "
                "there). Remove it to begin anew, or choose another --out."
            )

    def done(self) -> set[int]:
        """Return the numbers of the videos whose results are there."""
        with writing(self.folder):
            names = os.listdir(self.folder)
        return {int(match.group(1)) for name in names if (match := _PART.fullmatch(name))}

    def put(self, number: int, results: list[dict[str, Any]]) -> None:
        """Keep the results of the video of this number."""
        atomic_write(self._part(number), json.dumps(results))

    def get(self, number: int) -> list[Any]:
        """Return what was kept.

        Raises
        ------
        InputError
            Where the file is damaged.
        """
        found = read_json(self._part(number), "part of results")
        if not isinstance(found, list):
            raise InputError(f"{self._part(number)} is damaged. Remove it and try again.")
        return found

    def finish(self, *, keep: bool = False) -> int:
        """Write the results file, and return how many results there are.

        The folder is removed; with ``keep`` it stays, since videos could not be read.
        """
        count = 0
        with atomic_file(self._out) as temporary, _opened(temporary) as file:
            file.write("[")
            for number in sorted(self.done()):
                for each in self.get(number):
                    file.write(",\n" if count else "\n")
                    file.write(json.dumps(each))
                    count += 1
            file.write("\n]\n")
        if not keep:
            self.remove()
        return count

    def remove(self) -> None:
        """Remove the folder, and what is kept there."""
        with contextlib.suppress(OSError):
            for number in self.done():
                self._part(number).unlink()
            (self.folder / _ABOUT).unlink()
            self.folder.rmdir()

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06d}.json"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """Open a file, or the one within an archive, for writing text."""
    if path.suffix.lower() != _ZIP:
        with path.open("w", encoding="utf-8") as file:
            yield file
        return
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(_INSIDE, "w", force_zip64=True) as inside,
        io.TextIOWrapper(inside, encoding="utf-8") as text,
    ):
        yield text
