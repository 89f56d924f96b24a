"""Runs to try: begun, looked into, refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.errors import InputError
from maskfree.train import Progress, finetune

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.config import Config
    from maskfree.session import Run, Session

CPU = torch.device("cpu")


def go(session: Session, config: Config, **settings: Any) -> Iterator[Progress]:
    return finetune(session, config, device="cpu", **settings)


def last_run(session: Session) -> Run:
    return session.runs()[-1]


def steps_of(run: Run) -> list[dict[str, Any]]:
    return [r for r in run.records() if "losses" in r]


def losses_of(run: Run) -> list[dict[str, float]]:
    return [r["losses"] for r in steps_of(run)]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[k], second[k]) for k in first)


def changed_state(session: Session, config: Config) -> None:
    with pytest.raises(InputError) as caught:
        list(go(session, config, resume=True))
    assert str(caught.value) == (
        f"{last_run(session).state_path} cannot be resumed: the tracks or their labels have "
        "changed since, or it is the state of another network. Fine-tune without --resume."
    )
