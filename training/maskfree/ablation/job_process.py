"""A job in a process of its own: its threads, its memory and its end are no other's.

``python -m maskfree.ablation.job_process`` reads the job as JSON from its input, and writes how far
it is and what came of it, each as a line of JSON. Where nobody reads them any more, since the
program that started it was killed, it ends at its next step.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import sys
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.ablation.clips import AblationClip, read_clip
from maskfree.ablation.groups import Recipe
from maskfree.ablation.job import Job, run_job
from maskfree.ablation.which_code import code_digest
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]


def main() -> int:
    """Do the job that standard input asks for; return the exit code."""
    # Ctrl-C reaches every process of a terminal: whoever started this one ends it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = json.load(sys.stdin)
    # what libraries print must not come between: only the answer goes where it is read
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(said: dict[str, Any]) -> None:
        answers.write(json.dumps(said) + "\n")
        answers.flush()

    try:
        said, code = _answer(asked, tell)
        tell(said)
    except BrokenPipeError:
        shutil.rmtree(asked["session"], ignore_errors=True)
        # closing would try to write once more
        os._exit(1)
    answers.close()
    return code


def _answer(
    asked: dict[str, Any], tell: Callable[[dict[str, Any]], None]
) -> tuple[dict[str, Any], int]:
    if code_digest() != asked["code"]:
        return {"input": "The engine's files have changed meanwhile. Run the same again."}, 2
    import cv2
    import torch

    torch.set_num_threads(asked["threads"])
    cv2.setNumThreads(asked["threads"])
    clip = AblationClip(asked["clip"], Path(asked["folder"]), asked["digest"])
    recipe = Recipe(tuple(asked["settings"]), asked["share"], asked["oracle"])
    job = Job(clip, recipe, asked["seed"], asked["device"])
    try:
        if read_clip(clip.folder).digest != clip.digest:
            raise InputError("The clip's files have changed meanwhile. Run the same again.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = run_job(
                job, Path(asked["session"]), lambda done, of: tell({"done": done, "of": of})
            )
    except InputError as error:
        return {"input": str(error)}, 2
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  (the outermost place: it is told, not shown)
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(where.filename)}, line {where.lineno}"
        return {"fault": f"{type(error).__name__}: {error} ({place})"}, 1
    return {"result": dataclasses.asdict(result)}, 0


if __name__ == "__main__":
    sys.exit(main())
