"""Ignored cells have no say in any loss: no gradient there, and nothing else changes with them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from maskfree.config import PairwiseConfig, TemporalKNNConfig
from maskfree.correspondence import drop_ignored, match_clip
from maskfree.losses import pairwise_loss, projection_loss, temporal_knn_loss

N, T, H, W = 2, 3, 9, 11
PAIRWISE = PairwiseConfig(dilation=2, similarity_threshold=0.1, colour_bandwidth=30.0)
TEMPORAL = TemporalKNNConfig(search_radius=2, num_neighbors=3, max_distance=80.0, weight=1.0)


def clip(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, box masks, Lab and what is ignored of a clip."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(N, T, H, W, generator=generator, dtype=torch.float64) * 3
    boxes = torch.zeros(N, T, H, W, dtype=torch.float64)
    boxes[0, :, 1:7, 2:9] = boxes[1, :, 3:8, 0:6] = 1
    lab = torch.rand(T, 3, H, W, generator=generator) * 40
    ignored = torch.zeros(T, H, W, dtype=torch.bool)
    ignored[0, 2:5, 3:6] = ignored[2, 0:6, 0:4] = ignored[1, 8, 10] = True
    return logits, boxes, lab, ignored


def pairwise(logits: Any, boxes: Any, lab: Any, ignored: Any) -> torch.Tensor:
    return pairwise_loss(logits, boxes, lab, config=PAIRWISE, ignored=ignored)


def projection(logits: Any, boxes: Any, lab: Any, ignored: Any) -> torch.Tensor:
    return projection_loss(logits, boxes, ignored=ignored)


def temporal(logits: Any, boxes: Any, lab: Any, ignored: Any) -> torch.Tensor:
    return temporal_knn_loss(logits, lab, boxes, config=TEMPORAL, ignored=ignored)


def everywhere(logits: Any, boxes: Any, lab: Any, ignored: Any) -> torch.Tensor:
    released = dataclasses.replace(TemporalKNNConfig.released(), max_distance=500.0)
    return temporal_knn_loss(logits, lab, config=released, ignored=ignored)


LOSSES = pytest.mark.parametrize("loss", [projection, pairwise, temporal, everywhere])


@LOSSES
def test_there_is_no_gradient_in_a_region_and_some_around_it(loss: Any) -> None:
    logits, boxes, lab, ignored = clip()
    logits.requires_grad_()
    loss(logits, boxes, lab, None).backward()
    assert logits.grad is not None
    assert logits.grad[:, ignored].any()  # without the region they do have a say
    logits.grad = None
    loss(logits, boxes, lab, ignored).backward()
    assert logits.grad is not None
    assert not logits.grad[:, ignored].any()
    assert logits.grad[:, ~ignored].any()


@LOSSES
def test_whatever_is_said_in_a_region_nothing_changes(loss: Any) -> None:
    logits, boxes, lab, ignored = clip()
    value = loss(logits, boxes, lab, ignored)
    other = torch.where(ignored, torch.randn_like(logits) * 50, logits)
    flipped = torch.where(ignored, 1 - boxes, boxes)
    if loss is not temporal:  # its boxes are united over the clip, whatever is ignored
        boxes = flipped
    torch.testing.assert_close(loss(other, boxes, lab, ignored), value, rtol=0, atol=0)


@LOSSES
def test_no_region_is_no_change_to_the_last_digit(loss: Any) -> None:
    logits, boxes, lab, ignored = clip()
    none = torch.zeros_like(ignored)
    plain = loss(logits, boxes, lab, None)
    torch.testing.assert_close(loss(logits, boxes, lab, none), plain, rtol=0, atol=0)


@LOSSES
def test_all_of_it_ignored_is_nothing_to_learn(loss: Any) -> None:
    logits, boxes, lab, ignored = clip()
    logits.requires_grad_()
    value = loss(logits, boxes, lab, torch.ones_like(ignored))
    value.backward()
    assert float(value.detach()) == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@LOSSES
@pytest.mark.parametrize("wrong", [torch.zeros(T, H, W), torch.zeros(H, W, dtype=torch.bool)])
def test_another_shape_or_dtype_is_refused(loss: Any, wrong: torch.Tensor) -> None:
    logits, boxes, lab, _ = clip()
    with pytest.raises(ValueError, match=r"ignored must be bool \(T, H, W\) = \(3, 9, 11\)"):
        loss(logits, boxes, lab, wrong)


def test_projection_by_a_slow_loop() -> None:
    logits, boxes, _, ignored = clip()
    terms = []
    for n in range(N):
        for t in range(T):
            total = 0.0
            for lines in (range(H), range(W)):
                p, g = [], []
                for line in lines:
                    row = (line, slice(None)) if lines == range(H) else (slice(None), line)
                    kept = ~ignored[t][row]
                    probs = logits[n, t][row][kept].sigmoid()
                    p.append(float(probs.max()) if len(probs) else 0.0)
                    g.append(float(boxes[n, t][row][kept].max()) if len(probs) else 0.0)
                overlap = sum(a * b for a, b in zip(p, g, strict=True))
                total += 1 - 2 * overlap / (sum(a * a for a in p) + sum(b * b for b in g) + 1e-5)
            terms.append(total)
    wanted = torch.tensor(sum(terms) / len(terms), dtype=torch.float64)
    torch.testing.assert_close(projection_loss(logits, boxes, ignored=ignored), wanted)


def test_a_frame_whose_box_is_ignored_has_no_weight() -> None:
    logits, boxes, _, _ = clip()
    ignored = torch.zeros(T, H, W, dtype=torch.bool)
    ignored[1, 1:7, 2:9] = True
    alone = projection_loss(logits[:1, [0, 2]], boxes[:1, [0, 2]])
    torch.testing.assert_close(projection_loss(logits[:1], boxes[:1], ignored=ignored), alone)


def test_pairwise_by_a_slow_loop() -> None:
    logits, boxes, lab, ignored = clip()
    total, count, d = 0.0, 0, PAIRWISE.dilation
    for n, t, y, x in boxes.nonzero().tolist():
        for v, u in ((y + d * a, x + d * b) for a in (-1, 0, 1) for b in (-1, 0, 1) if a or b):
            if not (0 <= v < H and 0 <= u < W) or ignored[t, y, x] or ignored[t, v, u]:
                continue
            apart = float((lab[t, :, y, x] - lab[t, :, v, u]).norm())
            if torch.tensor(-apart / PAIRWISE.colour_bandwidth).exp() < 0.1:
                continue
            p, q = logits[n, t, y, x].sigmoid(), logits[n, t, v, u].sigmoid()
            total -= float((p * q + (1 - p) * (1 - q)).log())
            count += 1
    wanted = torch.tensor(total / count, dtype=torch.float64)
    torch.testing.assert_close(pairwise(logits, boxes, lab, ignored), wanted)


def test_a_match_from_or_into_a_region_is_none() -> None:
    _, _, lab, ignored = clip()
    (_, match), *_ = match_clip(lab, config=TEMPORAL)
    found = drop_ignored(match, ignored[0], ignored[1])
    v, u = match.target_yx.unbind(-1)
    gone = ignored[0] | ignored[1][v.clamp(0, H - 1), u.clamp(0, W - 1)]
    assert gone.any() and not gone.all()
    assert torch.equal(found.valid, match.valid & ~gone)
    assert found.distance[gone].isinf().all()  # it is not counted either
    assert torch.equal(found.distance[~gone], match.distance[~gone])


@pytest.mark.parametrize("normaliser", ["grid", "matches"])
def test_temporal_by_a_slow_loop(normaliser: str) -> None:
    logits, boxes, lab, ignored = clip()
    config = TemporalKNNConfig(
        search_radius=2, num_neighbors=3, max_distance=80.0, weight=1.0, normaliser=normaliser
    )
    inside = (boxes > 0).any(1)
    total = 0.0
    for (here, there), match in match_clip(lab, config=config):
        part, count = 0.0, 0
        for n, y, x in inside.nonzero().tolist():
            for k in range(3):
                v, u = match.target_yx[k, y, x].tolist()
                if not match.valid[k, y, x] or ignored[here, y, x] or ignored[there, v, u]:
                    continue
                p, q = logits[n, here, y, x].sigmoid(), logits[n, there, v, u].sigmoid()
                part -= float((p * q + (1 - p) * (1 - q)).log())
                count += 1
        total += part / (H * W if normaliser == "grid" else count)
    found = temporal_knn_loss(logits, lab, boxes, config=config, ignored=ignored)
    torch.testing.assert_close(found, torch.tensor(total, dtype=torch.float64))
