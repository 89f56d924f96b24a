"""What the code never does, whatever a file says: looked for in the text of all of it."""

from __future__ import annotations

import ast
import configparser
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FOLDERS = ("training", "napari_maskfree", "sample_data", ".ci", "docs")
CALLS = {
    "eval": "runs text",
    "exec": "runs text",
    "os.system": "starts a shell",
    "os.popen": "starts a shell",
    "subprocess.getoutput": "starts a shell",
    "subprocess.getstatusoutput": "starts a shell",
    "pickle.load": "runs what a file names",
    "pickle.loads": "runs what a file names",
    "pickle.Unpickler": "runs what a file names",
    "marshal.loads": "runs what a file holds",
    "shelve.open": "is pickle",
    "joblib.load": "is pickle",
    "torch.load": "believes the sizes in a file; read with maskfree.model.torch_file",
    "np.load": "makes what a header claims; read with maskfree.safe_npz",
    "numpy.load": "makes what a header claims; read with maskfree.safe_npz",
    "tempfile.mktemp": "is a race",
    "shutil.unpack_archive": "writes where an archive says",
    "iio.imread": "takes any kind of picture; open with Image.open(formats=…)",
    "imageio.imread": "takes any kind of picture",
}
METHODS = {"extractall": "writes where an archive says"}
IMPORTS = {
    "socket": "listens",
    "socketserver": "listens",
    "http.server": "listens",
    "xmlrpc": "listens",
    "multiprocessing.managers": "listens",
    "telnetlib": "talks to strangers",
    "ftplib": "talks to strangers",
    "dill": "is pickle",
    "cloudpickle": "is pickle",
    "xml.sax.handler": "expands entities",
    "xml.dom": "expands entities",
    "lxml": "expands entities",
}
OWN_FILES = ("sample_data/make_rabbit.py", "docs/", "training/benchmarks/")
"""Open videos and pictures that they made themselves."""
ONLY_TYPES = {"xml.etree.ElementTree": {"Element", "ParseError"}}
"""What may be imported of a module that must not parse."""


def name_of(node: ast.AST) -> str:
    """The dotted name of an expression, empty where it is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}".lstrip(".")
    return ""


def faults(text: str) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            found += [f"line {node.lineno}: {what}" for what in of_call(node)]
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found += [f"line {node.lineno}: {what}" for what in of_import(node)]
    return found


def of_call(node: ast.Call) -> list[str]:
    name, given = name_of(node.func), {each.arg: each.value for each in node.keywords}
    found = [f"{name} {CALLS[name]}"] if name in CALLS else []
    method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if method in METHODS:
        found.append(f"{method} {METHODS[method]}")
    for word in ("shell", "allow_pickle", "trust_remote_code"):
        value = given.get(word)
        if value is not None and not (isinstance(value, ast.Constant) and value.value is False):
            found.append(f"{word} is not False")
    if name == "yaml.load" and name_of(given.get("Loader", node)) != "yaml.BaseLoader":
        found.append("yaml.load runs what a file names; take BaseLoader")
    if name == "Image.open" and "formats" not in given:
        found.append("Image.open without formats: some kinds of pictures start programs")
    if name == "av.open" and not {"options", "format"} & given.keys() and len(node.args) < 2:
        found.append("av.open without options: a playlist may open other files")
    return found


def of_import(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        modules = [(alias.name, {""}) for alias in node.names]
    else:
        modules = [(node.module or "", {alias.name for alias in node.names})]
        modules += [(f"{node.module}.{alias.name}", {""}) for alias in node.names]
    found = []
    for module, names in modules:
        for bad, why in IMPORTS.items():
            if module == bad or module.startswith(f"{bad}."):
                found.append(f"{module} {why}")
        if module in ONLY_TYPES and not names <= ONLY_TYPES[module]:
            found.append(f"{module} expands entities; take defusedxml")
    return found


BAD = [
    "import subprocess\nsubprocess.run('ls', shell=True)",
    "subprocess.run('ls', shell=yes)",
    "import os\nos.system('ls')",
    "eval('1')",
    "import pickle\npickle.load(file)",
    "np.load(path)",
    "write_array(out, values, allow_pickle=True)",
    "torch.load(path, weights_only=True)",
    "import xml.etree.ElementTree",
    "from xml.etree.ElementTree import fromstring",
    "from xml.etree import ElementTree",
    "import socket",
    "from http.server import HTTPServer",
    "from http import server",
    "archive.extractall(folder)",
    "Image.open(path)",
    "av.open(path)",
    "tempfile.mktemp()",
    "yaml.load(text)",
    "yaml.load(text, Loader=yaml.Loader)",
]


@pytest.mark.parametrize("text", BAD)
def test_it_would_be_found(text: str) -> None:
    assert faults(text)


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_of_it_is_done(folder: str) -> None:
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        found = faults(path.read_text(encoding="utf-8"))
        if name.startswith(OWN_FILES):
            found = [each for each in found if ".open without" not in each]
        assert not found, f"{name}: {found}"


# ---- what is told of it


def test_every_dependency_is_in_the_list_of_licences() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = parser["options"]["install_requires"].split("\n")
    for extra in parser["options.extras_require"].values():
        lines += extra.split("\n")
    wanted = {canonicalize_name(Requirement(line).name) for line in lines if line.strip()}
    text = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| ([\w.-]+) \|.*?\| ([^|]+) \|", text, re.MULTILINE))
    named = {canonicalize_name(name): licence.strip() for name, licence in listed.items()}
    assert wanted <= named.keys(), sorted(wanted - named.keys())
    assert not [name for name in wanted if named[name] in ("", "unknown")]


def test_licences_are_found_for_what_is_installed() -> None:
    import runpy

    made = runpy.run_path(str(ROOT / ".ci" / "licences.py"))
    assert made["licence_of"](metadata.metadata("numpy")) not in ("", "unknown")


def test_the_policy_names_what_is_promised() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    for word in ("Reporting", "promised", "not promised", "safetensors", "make fuzz", "make audit"):
        assert word in text
