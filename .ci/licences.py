"""Make docs/licences.md: what we depend on, and under which licence, as the packages say it.

Everything that ``constraints.txt`` names and that is installed here is listed.
"""

from __future__ import annotations

import configparser
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from email.message import Message

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "licences.md"
HEAD = """\
# Licences of what we depend on

Made by `make licences` from what the installed packages say of themselves: those that `setup.cfg`
names first, then those that they bring. napari-maskfree itself is BSD-3-Clause (`LICENSE`).
"""
_LONGEST = 60
"""Characters: some packages put the whole text where its name belongs."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def main() -> int:
    """Write the list."""
    wanted = required()
    pins = (line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().split("\n"))
    names = {_plain(name): name for name in pins if name.strip()}
    parts = []
    for title, chosen in (
        ("Named in setup.cfg", sorted(wanted)),
        ("Brought by them", sorted(set(names) - wanted)),
    ):
        rows = [row(names.get(name, name)) for name in chosen]
        table = "\n".join(each for each in rows if each)
        parts.append(f"## {title}\n\n| package | version | licence |\n| --- | --- | --- |\n{table}")
    OUT.write_text("\n".join((HEAD, "\n\n".join(parts), "")), encoding="utf-8")
    print(f"{OUT.relative_to(ROOT)} was written.")
    return 0


def required() -> set[str]:
    """Return the names in setup.cfg, those of extras included."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].split("\n")
    for extra in parser["options.extras_require"].values():
        lines += extra.split("\n")
    found = (_NAME.match(line.strip()) for line in lines)
    return {_plain(match.group()) for match in found if match}


def row(name: str) -> str:
    """Return the line of one package; empty where it is not installed and nobody named it."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return f"| {name} | – | unknown |" if _plain(name) in required() else ""
    return f"| {name} | {found['Version']} | {licence_of(found)} |"


def licence_of(found: Message) -> str:
    """Return the licence that a package's metadata name."""
    told = found.get("License-Expression") or ""
    classifiers = [
        each.rpartition("::")[2].strip()
        for each in found.get_all("Classifier") or ()
        if each.startswith("License ::")
    ]
    text = (found.get("License") or "").strip()
    short = text if "\n" not in text and len(text) <= _LONGEST else text.split("\n")[0][:_LONGEST]
    return told or ", ".join(classifiers) or short.replace("|", "/") or "unknown"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


if __name__ == "__main__":
    sys.exit(main())
