"""Batch norms when a batch is spread over processes: frozen, or statistics of all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from maskfree.errors import InputError

if TYPE_CHECKING:
    from maskfree.distributed.team import Team
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["check_norms", "share_norms"]


def share_norms(model: Mask2FormerVideo, team: Team) -> Mask2FormerVideo:
    """Return the network with batch norms that see the batch of all processes.

    Where there is one process, or they are frozen or none, it stays as it is; on GPUs they become
    torch's SyncBatchNorm, whose parameters have the same names.

    Raises
    ------
    InputError
        As :func:`check_norms`.
    """
    if not check_norms(model, team):
        return model
    shared: Mask2FormerVideo = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    return shared


def check_norms(model: Mask2FormerVideo, team: Team) -> bool:
    """Return whether there are batch norms that the processes must share.

    Raises
    ------
    InputError
        For several processes without a GPU: torch has none for them, and each would follow its own
        part of the batch.
    """
    if team.size == 1 or not model.norms() or model.frozen_norms:
        return False
    if team.device.type != "cuda":
        raise InputError(
            f"{team.size} processes without a GPU cannot share the statistics of batch norms. Keep "
            "the pretrained ones: --set model.frozen_norms=true, or train with one process."
        )
    return True
