"""Pretrained weights as a hub has them: found in a folder, in the hub's cache or on the hub.

They are used where they can be had and are never needed: where a hub does not answer, a warning
says so and what to do. Nothing that a file holds is run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import stat
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
from huggingface_hub import HfApi, hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import logging as hub_logging
from huggingface_hub.utils import validate_repo_id
from transformers.utils import logging as transformers_logging

from maskfree.errors import InputError, InputWarning
from maskfree.model.convert import read_weights
from maskfree.model.known_weights import check_digest, check_hub
from maskfree.model.tensors_file import check_header

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "CONFIG",
    "WEIGHTS",
    "Wanted",
    "check_weights",
    "find_folder",
    "first_line",
    "quiet",
    "read_about",
    "safe_weights",
]

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TIMEOUT = 5.0
"""Seconds that the hub has for its first answer; the library alone goes on for minutes."""
_LONGEST = 200
"""Characters of a name that a message repeats."""


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What is looked for, in the words of messages.

    ``key``: the setting that names it; ``owner``: what begins with it ("The backbone"); ``kind``:
    what the folder must hold ("a ResNet").
    """

    key: str
    owner: str
    kind: str


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep progress bars and hints of transformers and the hub off the terminal."""
    bars = transformers_logging.is_progress_bar_enabled()
    levels = transformers_logging.get_verbosity(), hub_logging.get_verbosity()
    with warnings.catch_warnings():  # where HF_HUB_DISABLE_PROGRESS_BARS=0 insists on the hub's
        warnings.simplefilter("ignore", UserWarning)
        transformers_logging.disable_progress_bar()  # the hub's too
    transformers_logging.set_verbosity_error()
    hub_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(levels[0])
        hub_logging.set_verbosity(levels[1])
        if bars:
            transformers_logging.enable_progress_bar()


class NotFetched(InputWarning):
    """Of weights that a hub was to give; ``why`` in words."""

    def __init__(self, text: str, why: str) -> None:
        super().__init__(text)
        self.why = why


def find_folder(weights: str, wanted: Wanted) -> Path | None:
    """Return the folder that holds ``weights``; None, after a warning, where none can be had.

    Raises
    ------
    InputError
        For a folder that is missing or cannot be looked up, a file, and a name that the hub does
        not know.
    """
    folder = _folder(weights, wanted)
    if folder is not None:
        return folder
    try:
        validate_repo_id(weights)
    except HFValidationError:
        raise InputError(
            f"There is no folder {Path(weights).expanduser()} with pretrained weights. Check "
            f"{wanted.key}, or leave it empty to begin with fresh ones."
        ) from None
    try:
        folder = _cached(weights) or _downloaded(weights, wanted)
        check_hub(weights, folder)
    except (InputError, MemoryError):
        raise
    except RepositoryNotFoundError as error:
        raise InputError(
            f"There is neither a folder {weights} here nor a hub repository of that name that is "
            f"open to you. Check {wanted.key}."
        ) from error
    except Exception as error:  # noqa: BLE001  (network, proxy, disk: each raises what it likes)
        why = (
            f"there is no folder {weights} here, and they could not be fetched from the hub or its "
            f"cache ({_reason(error)})"
        )
        warnings.warn(
            NotFetched(
                f"{wanted.owner} was to begin with the pretrained weights {weights}, but {why}. It "
                "begins with fresh weights, which learn at the full rate in this run and for which "
                f"the preset tiny is made. To use pretrained ones, download {CONFIG} and "
                f"{WEIGHTS[0]} of {weights} elsewhere and name their folder: --set "
                f"{wanted.key}=FOLDER",
                why,
            ),
            stacklevel=3,
        )
        return None
    return folder


def _folder(weights: str, wanted: Wanted) -> Path | None:
    """Return the folder of that name; None where there is none."""
    try:
        folder = Path(weights).expanduser()
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: ~ of nobody
        reason = getattr(error, "strerror", None) or first_line(error)
        raise InputError(
            f"{wanted.key} must be a folder or a hub id, and {_short(weights)} cannot be "
            f"looked up ({reason}). Give the folder that holds {CONFIG} and {WEIGHTS[0]}, or "
            "leave it empty to begin with fresh weights."
        ) from error
    if not is_folder:
        raise InputError(
            f"{wanted.key} must be a folder or a hub id, but {folder} is a file. Give "
            f"the folder that holds {CONFIG} and {WEIGHTS[0]}."
        )
    return folder


def _cached(hub_id: str) -> Path | None:
    if isinstance(try_to_load_from_cache(hub_id, CONFIG), str):
        for name in WEIGHTS:
            found = try_to_load_from_cache(hub_id, name)
            if isinstance(found, str):
                return Path(found).parent
    return None


def _downloaded(hub_id: str, wanted: Wanted) -> Path:
    # asked first, since downloading tries again and again where nobody answers
    listed = HfApi().model_info(hub_id, timeout=_TIMEOUT).siblings or ()
    files = {each.rfilename for each in listed}
    for name in WEIGHTS:
        if {name, CONFIG} <= files:
            hf_hub_download(hub_id, CONFIG, etag_timeout=_TIMEOUT)
            return Path(hf_hub_download(hub_id, name, etag_timeout=_TIMEOUT)).parent
    raise InputError(
        f"The hub repository {hub_id} holds no {CONFIG} with {' or '.join(WEIGHTS)}. Name that "
        f"of {wanted.kind} for transformers."
    )


def read_about(folder: Path, wanted: Wanted) -> dict[str, Any]:
    """Return what a folder's config.json says.

    Raises
    ------
    InputError
        Where it cannot be read, or is no object.
    """
    path = folder / CONFIG
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(about, dict):
            raise ValueError("no object")
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} should describe {wanted.kind} and cannot be read: {first_line(error)}. Give a "
            f"folder with {CONFIG} and {WEIGHTS[0]}, as a hub has them."
        ) from error
    return about


def check_weights(folder: Path) -> None:
    """Check that a folder holds weights.

    Raises
    ------
    InputError
        Where it does not.
    """
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise InputError(
            f"{folder} holds no weights: there is no {' and no '.join(WEIGHTS)}. Download the "
            f"first of them beside its {CONFIG}."
        )


@contextlib.contextmanager
def safe_weights(folder: Path) -> Iterator[Path]:
    """Yield a folder whose weights are safetensors: ``folder`` itself, or one with those of it.

    What torch saved is read by our own reader: transformers would have torch's read it.

    Raises
    ------
    InputError, ValueError
        Where they are damaged, or more than weights.
    """
    safe, saved = (folder / name for name in WEIGHTS)
    if safe.is_file():
        check_digest(safe)
        check_header(safe)
        yield folder
        return
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)
        tensors = read_weights(saved)
        safetensors.torch.save_file(tensors, Path(made) / safe.name, metadata={"format": "pt"})
        shutil.copyfile(folder / CONFIG, Path(made) / CONFIG)
        yield Path(made)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):  # as of a network that wants a login first
        return f"what answered is not the hub: {first_line(error)}"
    return first_line(error)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
