"""Run a command that opens windows, on a real X server: the display there is, else Xvfb.

usage: window.py [--shown | --displays N] COMMAND …

``--shown``: somebody is to see the window, so there must be a display. ``--displays N``: N windows
that don't meet, each on a virtual display of its own, named in the variable DISPLAYS.
Where system packages are missing they are installed (root on Debian), else one line names them.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LIBRARIES = {
    "libgl1": "libGL.so.1",
    "libegl1": "libEGL.so.1",
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-image0": "libxcb-image.so.0",
    "libxcb-randr0": "libxcb-randr.so.0",
    "libxcb-render-util0": "libxcb-render-util.so.0",
    "libxcb-shape0": "libxcb-shape.so.0",
    "libxcb-xinerama0": "libxcb-xinerama.so.0",
    "libxcb-xkb1": "libxcb-xkb.so.1",
}
"""Debian's packages that Qt needs, and a library of each."""
DRIVERS = ("/usr/lib/*/dri/*_dri.so", "/usr/lib*/dri/*_dri.so")
SCREEN = "1920x1200x24"
PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"


def main(arguments: list[str]) -> int:
    """Run the command; return its exit code."""
    shown, count, command = False, 0, arguments
    if arguments[:1] == ["--shown"]:
        shown, command = True, arguments[1:]
    elif arguments[:1] == ["--displays"]:
        count, command = int(arguments[1]), arguments[2:]
    env = dict(os.environ)
    if env.get("QT_QPA_PLATFORM") in {"offscreen", "minimal"}:
        del env["QT_QPA_PLATFORM"]
    if not sys.platform.startswith("linux"):
        return run(command, env)
    displayed = not count and bool(env.get("DISPLAY") or env.get("WAYLAND_DISPLAY"))
    if shown and not displayed:
        return stop("there is no display to show a window on; use a desktop, or ssh -X")
    missing = missing_packages(virtual=not displayed)
    if missing and not install(missing):
        return stop(f"system packages are missing: sudo apt-get install {' '.join(missing)}")
    if shown:
        return run(command, env)
    env["QT_QPA_PLATFORM"] = "xcb"
    if displayed and env.get("DISPLAY") and works(env):
        return run(command, env)
    if shutil.which("Xvfb") is None and not install(["xvfb"]):
        return stop("the display does not work and there is no Xvfb: sudo apt-get install xvfb")
    with contextlib.ExitStack() as stack:
        displays = [stack.enter_context(virtual_display()) for _ in range(count or 1)]
        if not all(displays):
            return stop("Xvfb did not start; run it by hand to see why: Xvfb -displayfd 1")
        env |= {"DISPLAY": displays[0], "LIBGL_ALWAYS_SOFTWARE": "1"}
        if count:
            env["DISPLAYS"] = " ".join(displays)
        env.pop("WAYLAND_DISPLAY", None)
        return run(command, env)


def run(command: list[str], env: dict[str, str]) -> int:
    """Run the command; Ctrl-C is for it alone, and we wait until it has ended."""
    with subprocess.Popen(command, env=env) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def stop(text: str) -> int:
    """Say why on one line; return the exit code."""
    print(f"window: {text}", file=sys.stderr)
    return 2


def missing_packages(*, virtual: bool) -> list[str]:
    """Return Debian's names of what is not there; Xvfb among them where it is needed."""
    missing = [package for package, library in LIBRARIES.items() if not loads(library)]
    if not any(glob.glob(pattern) for pattern in DRIVERS):
        missing.append("libgl1-mesa-dri")
    if virtual and shutil.which("Xvfb") is None:
        missing.append("xvfb")
    return missing


def loads(library: str) -> bool:
    """Whether the system finds a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def install(packages: list[str]) -> bool:
    """Install Debian packages; False where that cannot be done."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    print(f"Installing {' '.join(packages)} …", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    get = ["apt-get", "-qq"]
    add = [*get, "install", "-y", "--no-install-recommends", *packages]
    for command in ([*get, "update"], add):
        done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
        if done.returncode:
            print(done.stderr.strip(), file=sys.stderr)
            return False
    return True


def works(env: dict[str, str]) -> bool:
    """Whether a Qt application can open on the display of ``env``."""
    probe = subprocess.run([sys.executable, "-c", PROBE], env=env, check=False, capture_output=True)
    return probe.returncode == 0


@contextlib.contextmanager
def virtual_display() -> Iterator[str]:
    """Start Xvfb on a free display and yield its name, empty where it did not start."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=[writer],
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for the command; the server ends after it
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as answer:
            number = answer.readline().strip()
        yield f":{number}" if number else ""
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
