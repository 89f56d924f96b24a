"""Which Mask2Former some weights are of, told from their names and shapes."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from maskfree.config import PUBLISHED, ModelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

__all__ = ["Signature", "preset_for"]

_BLOCK = re.compile(r".*\.encoder\.(?:layers|stages)\.(\d+)\.(blocks|layers)\.(\d+)\.")
_FIRST = re.compile(r".*\.(?:embeddings\.norm|embedder\.embedder\.convolution)\.weight")
_QUERIES = "model.transformer_module.queries_embedder.weight"
_BACKBONE = "model.pixel_level_module.encoder."
_STEM = 4
"""A bottleneck stage is so many times as wide as the stem before it."""


@dataclasses.dataclass(frozen=True)
class Signature:
    """``backbone``: "Swin" or "ResNet"; ``width``: channels of its stem; ``depths``: its blocks by
    stage; ``hidden`` and ``queries`` of the decoder; 0 where the weights do not tell.
    """

    backbone: str
    width: int
    depths: tuple[int, ...]
    hidden: int
    queries: int

    @classmethod
    def of(cls, weights: Mapping[str, torch.Tensor]) -> Signature:
        """Tell it from a network's weights, by today's names or those of earlier transformers."""
        own = {name: value for name, value in weights.items() if name.startswith(_BACKBONE)}
        found = [each for name in own if (each := _BLOCK.match(name))]
        blocks = {(int(each[1]), int(each[3])) for each in found}
        stages = sorted({stage for stage, _ in blocks})
        widths = [len(value) for name, value in own.items() if _FIRST.fullmatch(name)]
        queries = weights.get(_QUERIES)
        rows, hidden = (0, 0) if queries is None or queries.ndim != 2 else queries.shape
        return cls(
            "Swin" if any(each[2] == "blocks" for each in found) else "ResNet",
            widths[0] if widths else 0,
            tuple(sum(stage == number for stage, _ in blocks) for number in stages),
            hidden,
            rows,
        )

    def same_but_queries(self, other: Signature) -> bool:
        """Whether both are one network, whatever their number of queries."""
        return dataclasses.replace(self, queries=0) == dataclasses.replace(other, queries=0)

    def words(self) -> str:
        """Say it in words."""
        blocks = "-".join(map(str, self.depths)) or "unknown"
        return (
            f"a Mask2Former with a {self.backbone} ({self.width} channels, {blocks} blocks), "
            f"{self.hidden} wide, with {self.queries} queries"
        )


def preset_for(found: Signature) -> str:
    """Say which preset's network it is, or what else to do."""
    for name in PUBLISHED:
        sizes = ModelConfig.published(name)
        swin = sizes.backbone == "swin"
        own = (
            "Swin" if swin else "ResNet",
            sizes.backbone_sizes[0] // (1 if swin else _STEM),
            sizes.backbone_depths,
            sizes.hidden_size,
        )
        if own == (found.backbone, found.width, found.depths, found.hidden):
            return f" Take --preset {name}."
    return " Set the sizes under model. to fit, or give other weights."
