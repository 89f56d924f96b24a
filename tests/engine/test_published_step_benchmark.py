from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest
import torch

import published_step
from maskfree.config import PairwiseConfig
from maskfree.losses import pairwise_loss

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("config", [PairwiseConfig.paper(), PairwiseConfig.released()])
def test_the_unfold_form_of_the_pairwise_loss_is_the_same(config: PairwiseConfig) -> None:
    torch.manual_seed(0)
    logits, lab = torch.randn(2, 2, 9, 11), torch.rand(2, 3, 9, 11) * 4
    boxes = torch.zeros(2, 2, 9, 11)
    boxes[0, :, 2:7, 1:8] = boxes[1, 0, :5, 4:] = 1
    theirs = published_step.pairwise_reference(logits, boxes, lab, config=config)
    torch.testing.assert_close(theirs, pairwise_loss(logits, boxes, lab, config=config))


def test_both_variants_take_the_same_steps(tmp_path: Path) -> None:
    words = "--preset tiny --rounds 1 --steps 1 --instances 2 --batch 1 --device cpu".split()
    out = tmp_path / "page.md"
    assert published_step.main([*words, "--height=60", "--width=96", f"--out={out}"]) == 0
    page = out.read_text()
    assert "| step, seconds |" in page
    differ = float(page.rsplit("differ by ", 1)[1].partition(" of")[0])
    assert differ < 1e-5


def test_the_page_tells_medians_and_the_spread_of_their_ratios() -> None:
    def result(variant: str, seconds: float) -> dict[str, object]:
        keys = ("step", "network", "losses", "backward", "loss")
        found = {"variant": variant, "memory": 2**21 * seconds, "loss": 3.0, "device": "cpu"}
        return {**found, "times": [dict.fromkeys(keys, seconds)] * 2}

    results = [result("ours", 1), result("ours", 2), result("unfold", 4), result("unfold", 6)]
    args = argparse.Namespace(**vars(published_step.options([])))
    page = published_step.page(results, args)
    assert "| step, seconds | 1.50 | 5.00 | 3.50 (3.00 to 4.00) |" in page
    memory = "| memory of a step beyond what is there between steps, MiB |"
    assert f"{memory} 3 | 10 | 3.50 (3.00 to 4.00) |" in page
