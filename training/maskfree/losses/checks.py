"""Checks of what goes into a loss: what was expected, what came, what to do next; its dtype."""

from __future__ import annotations

import torch

__all__ = [
    "check_box_masks",
    "check_ignored",
    "check_lab",
    "check_mask_logits",
    "full_precision",
]


def check_mask_logits(mask_logits: torch.Tensor) -> None:
    """Raise ValueError unless ``mask_logits`` is ``(N, T, H, W)``."""
    if mask_logits.ndim != 4:
        raise ValueError(
            f"mask_logits must be (N, T, H, W), got {tuple(mask_logits.shape)}. "
            "Pass one clip, not a batch."
        )


def check_box_masks(box_masks: torch.Tensor, mask_logits: torch.Tensor) -> None:
    """Raise ValueError unless ``box_masks`` has the shape of ``mask_logits``."""
    if box_masks.shape != mask_logits.shape:
        raise ValueError(
            f"box_masks must be {tuple(mask_logits.shape)} like mask_logits, "
            f"got {tuple(box_masks.shape)}. Draw the boxes on the mask grid, one mask an instance "
            "and frame."
        )


def check_lab(lab: torch.Tensor, mask_logits: torch.Tensor) -> None:
    """Raise ValueError unless ``lab`` is ``(T, 3, H, W)`` with the masks' T, H and W."""
    _, num_frames, height, width = mask_logits.shape
    expected = (num_frames, 3, height, width)
    if lab.shape != expected:
        raise ValueError(
            f"lab must be (T, 3, H, W) = {expected} to go with mask_logits, "
            f"got {tuple(lab.shape)}. Make it from the clip's frames with maskfree.lab.to_lab."
        )


def check_ignored(ignored: torch.Tensor, mask_logits: torch.Tensor) -> None:
    """Raise ValueError unless ``ignored`` is bool ``(T, H, W)`` with the masks' T, H and W."""
    expected = tuple(mask_logits.shape[1:])
    if ignored.shape != expected or ignored.dtype != torch.bool:
        raise ValueError(
            f"ignored must be bool (T, H, W) = {expected} to go with mask_logits, "
            f"got {ignored.dtype} {tuple(ignored.shape)}. Give one mask a frame, for all instances."
        )


def full_precision(tensor: torch.Tensor) -> torch.Tensor:
    """Return half precision as float32, anything else as it is; sums over a clip need it."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
