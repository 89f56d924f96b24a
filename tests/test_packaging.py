"""What is installed, what it needs, and what the layers may import of each other."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCES = {
    "maskfree": ROOT / "training" / "maskfree",
    "napari_maskfree": ROOT / "napari_maskfree",
    "napari_maskfree.sample_data": ROOT / "sample_data",
}
MOST_LINES = 400
DISTRIBUTIONS = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "skimage": "scikit-image",
    "yaml": "pyyaml",
}
BROUGHT_BY_NAPARI = {"dask", "npe2"}
# asked for when used, with how to install
EXTRA = {"accelerate", "matplotlib", "tensorboard", "torchvision", "trackeval"}
BROUGHT_BY_TORCH = {"triton"}  # for CUDA; used where it is there
OURS = {"maskfree", "napari_maskfree"}
WINDOWS = {"napari", "qtpy", "superqt", "magicgui", "napari_maskfree"}
KEPT = {".py", ".mp4", ".json", ".md", ".yaml", ".toml"}
LONG_LISTS = {"config.py"}
"""Files that are one long list: every hyper-parameter, once."""
QT = {"pyqt5", "pyqt6", "pyside2", "pyside6"}


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def listed(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def modules(package: str) -> list[Path]:
    return sorted(SOURCES[package].rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The top-level names that a module imports anywhere, those for type checkers included."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(str(node.module).partition(".")[0])
    return names


def test_the_listed_packages_are_those_on_disk(setup: configparser.ConfigParser) -> None:
    found = set()
    for name, folder in SOURCES.items():
        for path in folder.rglob("__init__.py"):
            found.add(".".join([name, *path.parent.relative_to(folder).parts]))
    assert set(listed(setup["options"]["packages"])) == found
    assert not (ROOT / "training" / "__init__.py").exists()


def test_one_version(setup: configparser.ConfigParser) -> None:
    import maskfree

    assert setup["metadata"]["version"] == maskfree.__version__
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {maskfree.__version__}" in changes


def test_what_is_imported_is_required(setup: configparser.ConfigParser) -> None:
    required = {
        canonicalize_name(Requirement(line).name)
        for line in listed(setup["options"]["install_requires"])
    }
    for package in SOURCES:
        for path in modules(package):
            foreign = (
                imported(path) - set(sys.stdlib_module_names) - {"maskfree", "napari_maskfree"}
            )
            needed = {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in foreign}
            assert needed <= required | BROUGHT_BY_NAPARI | BROUGHT_BY_TORCH | EXTRA, path
    assert not required & ({"torchvision", "timm", "opencv-python"} | QT)


def test_the_engine_knows_nothing_of_napari() -> None:
    for path in modules("maskfree"):
        assert not imported(path) & {"napari", "qtpy", "superqt", "magicgui", "napari_maskfree"}, (
            path
        )
        assert "training.maskfree" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("module", ["maskfree", "napari_maskfree", "napari_maskfree.sample_data"])
def test_importing_a_package_is_light(module: str) -> None:
    code = (
        f"import sys, {module}\n"
        "heavy = {'torch', 'napari', 'qtpy', 'PyQt6', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr


def test_constraints_pin_what_is_required(setup: configparser.ConfigParser) -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = dict(line.split("==") for line in listed(text))
    versions = {canonicalize_name(name): version for name, version in pinned.items()}
    assert versions["torch"] == "2.13.0"
    wanted = listed(setup["options"]["install_requires"])
    wanted += [line for extra in setup["options.extras_require"].values() for line in listed(extra)]
    for line in wanted:
        requirement = Requirement(line)
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), line
        assert "+" not in version, "a build of one index is no version"


def test_files_hold_one_idea() -> None:
    benchmarks = list((ROOT / "training" / "benchmarks").glob("*.py"))
    for path in [*benchmarks, *(path for package in SOURCES for path in modules(package))]:
        lines = path.read_text(encoding="utf-8").count("\n")
        assert lines <= MOST_LINES or path.name in LONG_LISTS, (
            f"{path} has {lines} lines: it holds two ideas"
        )


def test_no_path_of_a_machine() -> None:
    pattern = re.compile("|".join(("/wo" + "rk/", "/ro" + "ot/", "/ho" + r"me/\w")))
    suffixes = (".py", ".md", ".cfg", ".toml", ".txt", ".yaml", "Makefile", ".sh")
    read = 0
    for folder, inside, names in os.walk(ROOT):
        inside[:] = [n for n in inside if n == ".ci" or not n.startswith((".", "demo-output"))]
        for path in (Path(folder, name) for name in names if name.endswith(suffixes)):
            found = pattern.search(path.read_text(encoding="utf-8"))
            assert not found, f"{path}: {found}"
            read += 1
    assert read > 100


def test_make_targets_named_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    for name in ("README.md", "CONTRIBUTING.md", "training/README.md"):
        named = set(re.findall(r"`?\bmake ([a-z]+)\b", (ROOT / name).read_text(encoding="utf-8")))
        assert named & {"test", "demo", "gui", "bench", "lint", "slow"} <= targets, name
    assert {"demo", "test", "gui"} <= targets


# ---- the built wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from a copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    ignored = shutil.ignore_patterns("__pycache__", ".*", "*.egg-info", "build", "demo-output")
    for name in ("training", "napari_maskfree", "sample_data"):
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("dist")
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=source,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    expected = set()
    for package in SOURCES:
        folder, inside = SOURCES[package], package.replace(".", "/")
        for path in folder.rglob("*"):
            kept = path.suffix in KEPT or path.name == "py.typed"
            if kept and "__pycache__" not in path.parts:
                expected.add(f"{inside}/{path.relative_to(folder).as_posix()}")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected
    assert "napari_maskfree/napari.yaml" in names
    assert "napari_maskfree/sample_data/rabbit.mp4" in names


def test_the_wheel_says_what_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (about,) = (n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        text = archive.read(about).decode("utf-8")
        entries = archive.read(about.replace("METADATA", "entry_points.txt")).decode("utf-8")
        assert any(name.endswith("LICENSE") for name in archive.namelist())
    assert "maskfree = maskfree.cli:main" in entries
    assert "napari-maskfree = napari_maskfree:napari.yaml" in entries
    assert {"Provides-Extra: all", "Provides-Extra: test"} <= set(text.splitlines())
    assert "Framework :: napari" in text


def test_the_wheel_works_where_the_sources_are_not(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = (
        "import maskfree, napari_maskfree.sample_data as data, sys\n"
        "from maskfree.cli import main\n"
        "from maskfree.video import open_video\n"
        f"assert maskfree.__file__.startswith({str(site)!r}), maskfree.__file__\n"
        f"assert data.__file__.startswith({str(site)!r}), data.__file__\n"
        "with open_video(data.rabbit_path()) as video:\n"
        "    assert video.shape[1:] == (480, 854, 3)\n"
        "assert data.rabbit_boxes_path().is_file()\n"
        "sys.exit(main(['settings', 'optimiser']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "optimiser.steps=" in done.stdout
