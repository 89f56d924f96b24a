"""Look the dependencies up in the database of known faults, where it can be reached.

Runs pip-audit on ``constraints.txt``, in an environment of its own below ``.venv``. Without a
network it says so and ends well: what was not looked at is no fault. ``--strict`` makes that an
error, for a machine that must have a network.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ROOT / ".venv" / "audit"
DATABASE = "https://pypi.org/pypi/pip/json"
"""What pip-audit asks, of the packages' index."""
SECONDS = 3.0


def main() -> int:
    """Ask, or say why not."""
    parser = argparse.ArgumentParser(description="Look the dependencies up for known faults.")
    parser.add_argument("--strict", action="store_true", help="fail where nothing could be asked")
    strict = parser.parse_args().strict
    why = why_not()
    if why:
        print(f"audit: skipped, {why}.", file=sys.stderr)
        return int(strict)
    command = [tool(), "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps"]
    return subprocess.run(
        [*command, "--disable-pip", "--progress-spinner", "off"], cwd=ROOT, check=False
    ).returncode


def why_not() -> str:
    """Return why nothing can be asked; empty where it can."""
    try:
        with urllib.request.urlopen(DATABASE, timeout=SECONDS):
            pass
    except (OSError, ValueError) as error:
        return f"the database cannot be reached ({getattr(error, 'reason', error)})"
    if not Path(tool()).exists():
        venv.create(TOOLS, with_pip=True)
    quiet = ["-qq", "--disable-pip-version-check"]
    command = [tool(), "-m", "pip", "install", *quiet, "pip-audit"]
    done = subprocess.run(command, check=False, capture_output=True)
    return "" if done.returncode == 0 else "pip-audit could not be installed"


def tool() -> str:
    """Return the Python of the environment that pip-audit lives in."""
    place = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return str(TOOLS.joinpath(*place))


if __name__ == "__main__":
    sys.exit(main())
