"""Mask2Former-video by the published formulas, on detectron2's names; slow, plain, and independent.

Written from the papers (Mask2Former, its video report, Deformable DETR, Swin, ResNet) and the lists
of names; nothing of the network under test is used. Weights are made, at random, when they are
asked for first: what was asked for is the checkpoint.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch.nn import functional

LEVELS, POINTS = 3, 4


class Weights(dict[str, torch.Tensor]):
    """Tensors by name; one that is not there yet is made."""

    def of(self, name: str, *shape: int, scale: float | None = None) -> torch.Tensor:
        if name not in self:
            torch.manual_seed(len(self))
            fan = math.prod(shape[1:]) if len(shape) > 1 else 1
            spread = scale if scale is not None else (1 / math.sqrt(fan) if fan > 1 else 0.2)
            self[name] = torch.randn(shape) * spread
            if name.endswith(("norm.weight", "norm1.weight", "norm2.weight", "running_var")):
                self[name] = 0.5 + torch.rand(shape)
        return self[name]

    def linear(self, name: str, x: torch.Tensor, out: int) -> torch.Tensor:
        return x @ self.of(f"{name}.weight", out, x.shape[-1]).T + self.of(f"{name}.bias", out)

    def layer_norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(-1, keepdim=True)
        spread = ((x - mean) ** 2).mean(-1, keepdim=True)
        size = x.shape[-1]
        scaled = (x - mean) / torch.sqrt(spread + 1e-5)
        return scaled * self.of(f"{name}.weight", size) + self.of(f"{name}.bias", size)

    def group_norm(self, name: str, x: torch.Tensor, groups: int = 32) -> torch.Tensor:
        parts = x.unflatten(1, (groups, -1)).flatten(2)
        mean = parts.mean(2, keepdim=True)
        spread = ((parts - mean) ** 2).mean(2, keepdim=True)
        scaled = ((parts - mean) / torch.sqrt(spread + 1e-5)).view_as(x)
        size = x.shape[1]
        weight, bias = self.of(f"{name}.weight", size), self.of(f"{name}.bias", size)
        return scaled * weight[:, None, None] + bias[:, None, None]

    def frozen_norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[1]
        weight, bias, mean, var = (
            self.of(f"{name}.{field}", size)[:, None, None]
            for field in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / torch.sqrt(var + 1e-5) * weight + bias

    def conv(
        self, name: str, x: torch.Tensor, out: int, side: int, stride: int = 1, bias: bool = False
    ) -> torch.Tensor:
        weight = self.of(f"{name}.weight", out, x.shape[1], side, side)
        added = self.of(f"{name}.bias", out) if bias else None
        return functional.conv2d(x, weight, added, stride, (side - 1) // 2)


def resnet(w: Weights, x: torch.Tensor, widths: list[int], depths: list[int]) -> list[torch.Tensor]:
    """Return the features of stages 2 to 5, the stride in the 3 x 3 convolutions."""
    x = w.conv("backbone.stem.conv1", x, widths[0] // 4, 7, 2)
    x = torch.relu(w.frozen_norm("backbone.stem.conv1.norm", x))
    x = functional.max_pool2d(x, 3, 2, 1)
    found = []
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True), start=2):
        for block in range(depth):
            name = f"backbone.res{stage}.{block}"
            stride = 2 if stage > 2 and block == 0 else 1
            short = x
            if block == 0:
                short = w.conv(f"{name}.shortcut", x, width, 1, stride)
                short = w.frozen_norm(f"{name}.shortcut.norm", short)
            for n, (out, side, step) in enumerate(
                ((width // 4, 1, 1), (width // 4, 3, stride), (width, 1, 1)), start=1
            ):
                x = w.frozen_norm(
                    f"{name}.conv{n}.norm", w.conv(f"{name}.conv{n}", x, out, side, step)
                )
                x = torch.relu(x) if n < 3 else torch.relu(x + short)
        found.append(x)
    return found


def swin(
    w: Weights, x: torch.Tensor, width: int, depths: list[int], heads: list[int], side: int
) -> list[torch.Tensor]:
    """Return the normed features of all stages."""
    weight = w.of("backbone.patch_embed.proj.weight", width, 3, 4, 4)
    x = functional.conv2d(x, weight, w.of("backbone.patch_embed.proj.bias", width), 4)
    x = w.layer_norm("backbone.patch_embed.norm", x.permute(0, 2, 3, 1))
    found = []
    for stage, (depth, count) in enumerate(zip(depths, heads, strict=True)):
        name = f"backbone.layers.{stage}"
        for block in range(depth):
            x = _swin_block(w, f"{name}.blocks.{block}", x, count, side, block % 2 * (side // 2))
        found.append(w.layer_norm(f"backbone.norm{stage}", x).permute(0, 3, 1, 2))
        if stage + 1 < len(depths):
            x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
            corners = [x[:, dy::2, dx::2] for dx in (0, 1) for dy in (0, 1)]
            x = w.layer_norm(f"{name}.downsample.norm", torch.cat(corners, -1))
            x = x @ w.of(f"{name}.downsample.reduction.weight", x.shape[-1] // 2, x.shape[-1]).T
    return found


def _swin_block(
    w: Weights, name: str, x: torch.Tensor, heads: int, side: int, shift: int
) -> torch.Tensor:
    size, height, width = x.shape[-1], *x.shape[1:3]
    normed = w.layer_norm(f"{name}.norm1", x)
    normed = functional.pad(normed, (0, 0, 0, -width % side, 0, -height % side))
    tall, wide = normed.shape[1:3]
    qkv = w.linear(f"{name}.attn.qkv", normed, 3 * size)
    table = w.of(f"{name}.attn.relative_position_bias_table", (2 * side - 1) ** 2, heads)
    out = torch.zeros_like(normed)
    # A pixel of the shifted grid, and to which of the at most nine parts of the frame it belongs.
    rows = [[(y + shift) % tall for y in range(top, top + side)] for top in range(0, tall, side)]
    columns = [
        [(c + shift) % wide for c in range(left, left + side)] for left in range(0, wide, side)
    ]
    for ys, xs in itertools.product(rows, columns):
        places = list(itertools.product(range(side), range(side)))
        cut = torch.tensor(
            [
                [_apart(ys, a[0], b[0], shift) or _apart(xs, a[1], b[1], shift) for b in places]
                for a in places
            ]
        )
        index = [
            [(a[0] - b[0] + side - 1) * (2 * side - 1) + a[1] - b[1] + side - 1 for b in places]
            for a in places
        ]
        bias = table[torch.tensor(index)].permute(2, 0, 1)
        part = qkv[:, ys][:, :, xs].flatten(1, 2).unflatten(2, (3, heads, -1))
        q, k, v = (part[:, :, n].transpose(1, 2) for n in range(3))
        scores = q @ k.transpose(2, 3) / math.sqrt(size // heads) + bias - 100.0 * cut
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2).unflatten(1, (side, side))
        for n, y in enumerate(ys):
            out[:, y, xs] = mixed[:, n]
    x = x + w.linear(f"{name}.attn.proj", out, size)[:, :height, :width]
    inner = functional.gelu(w.linear(f"{name}.mlp.fc1", w.layer_norm(f"{name}.norm2", x), 4 * size))
    return x + w.linear(f"{name}.mlp.fc2", inner, size)


def _apart(line: list[int], a: int, b: int, shift: int) -> bool:
    """Whether two pixels of a window lie on both sides of the frame's end, which was shifted in."""
    wraps = [each < line[0] for each in line]
    return bool(shift) and wraps[a] != wraps[b]


def sine(shape: tuple[int, ...], size: int) -> torch.Tensor:
    """Return sine positions of a grid ``(…, C)``; in 3-D time is added to those of the plane."""
    axes = [
        (torch.arange(1, n + 1) / (n + 1e-6) * 2 * math.pi).view(
            [n if m == d else 1 for m in range(len(shape))]
        )
        for d, n in enumerate(shape)
    ]

    def waves(angle: torch.Tensor, count: int) -> torch.Tensor:
        period = 10000 ** (2 * (torch.arange(count) // 2) / count)
        phase = angle[..., None] / period
        parts = torch.stack([phase[..., 0::2].sin(), phase[..., 1::2].cos()], -1).flatten(-2)
        return parts.expand(*shape, count)

    plane = torch.cat([waves(axes[-2], size // 2), waves(axes[-1], size // 2)], -1)
    return plane + waves(axes[0], size) if len(shape) == 3 else plane


def pixel_decoder(
    w: Weights, features: list[torch.Tensor], size: int, heads: int, layers: int, inner: int
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the mask features and the three levels, coarse to fine."""
    head = "sem_seg_head.pixel_decoder"
    levels = []
    for n, feature in enumerate(features[:0:-1]):
        projected = w.conv(f"{head}.input_proj.{n}.0", feature, size, 1, bias=True)
        levels.append(w.group_norm(f"{head}.input_proj.{n}.1", projected))
    shapes = [(level.shape[2], level.shape[3]) for level in levels]
    embed = w.of(f"{head}.transformer.level_embed", LEVELS, size)
    x = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)
    position = torch.cat(
        [sine(shape, size).flatten(0, 1) + embed[n] for n, shape in enumerate(shapes)]
    )
    centres = torch.cat(
        [
            torch.stack(
                [
                    ((torch.arange(wide) + 0.5) / wide)[None].expand(tall, wide),
                    ((torch.arange(tall) + 0.5) / tall)[:, None].expand(tall, wide),
                ],
                -1,
            ).flatten(0, 1)
            for tall, wide in shapes
        ]
    )
    for n in range(layers):
        name = f"{head}.transformer.encoder.layers.{n}"
        mixed = deformable(w, f"{name}.self_attn", x + position, x, centres, shapes, heads)
        x = w.layer_norm(f"{name}.norm1", x + mixed)
        hidden = torch.relu(w.linear(f"{name}.linear1", x, inner))
        x = w.layer_norm(f"{name}.norm2", x + w.linear(f"{name}.linear2", hidden, size))
    parts = x.split([tall * wide for tall, wide in shapes], 1)
    found = [
        part.transpose(1, 2).unflatten(2, shape) for part, shape in zip(parts, shapes, strict=True)
    ]
    lateral = w.group_norm(
        f"{head}.adapter_1.norm", w.conv(f"{head}.adapter_1", features[0], size, 1)
    )
    up = functional.interpolate(
        found[-1], size=lateral.shape[2:], mode="bilinear", align_corners=False
    )
    fine = w.group_norm(f"{head}.layer_1.norm", w.conv(f"{head}.layer_1", lateral + up, size, 3))
    return w.conv(f"{head}.mask_features", torch.relu(fine), size, 1, bias=True), found


def deformable(
    w: Weights,
    name: str,
    query: torch.Tensor,
    x: torch.Tensor,
    centres: torch.Tensor,
    shapes: list[tuple[int, int]],
    heads: int,
) -> torch.Tensor:
    """Deformable DETR, equation 3: each head looks at a few points of each level."""
    size, places = x.shape[-1], LEVELS * POINTS
    offsets = w.linear(f"{name}.sampling_offsets", query, heads * places * 2)
    offsets = offsets.unflatten(2, (heads, LEVELS, POINTS, 2))
    weights = w.linear(f"{name}.attention_weights", query, heads * places)
    weights = weights.unflatten(2, (heads, places)).softmax(-1).unflatten(3, (LEVELS, POINTS))
    values = w.linear(f"{name}.value_proj", x, size).split([a * b for a, b in shapes], 1)
    out = torch.zeros_like(x).unflatten(2, (heads, -1))
    for level, (tall, wide) in enumerate(shapes):
        grid = values[level].unflatten(1, (tall, wide)).unflatten(3, (heads, -1))
        for head, point in itertools.product(range(heads), range(POINTS)):
            at = centres + offsets[:, :, head, level, point] / torch.tensor([wide, tall])
            seen = functional.grid_sample(
                grid[..., head, :].permute(0, 3, 1, 2),
                (2 * at - 1)[:, :, None],
                align_corners=False,
            )
            mixed = seen[..., 0].transpose(1, 2) * weights[:, :, head, level, point, None]
            out[:, :, head] += mixed
    return w.linear(f"{name}.output_proj", out.flatten(2), size)


def attention(
    w: Weights,
    name: str,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    heads: int,
    blocked: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multi-head attention of ``(B, N, C)``, its projections packed as torch has them."""
    size = query.shape[-1]
    weight = w.of(f"{name}.in_proj_weight", 3 * size, size)
    bias = w.of(f"{name}.in_proj_bias", 3 * size)
    q, k, v = (
        (each @ weight[n * size : (n + 1) * size].T + bias[n * size : (n + 1) * size])
        .unflatten(2, (heads, -1))
        .transpose(1, 2)
        for n, each in enumerate((query, key, value))
    )
    scores = q @ k.transpose(2, 3) / math.sqrt(size // heads)
    if blocked is not None:
        scores = scores.masked_fill(blocked[:, None], -torch.inf)
    mixed = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
    return w.linear(f"{name}.out_proj", mixed, size)


def video_decoder(
    w: Weights,
    fine: torch.Tensor,
    levels: list[torch.Tensor],
    *,
    frames: int,
    queries: int,
    classes: int,
    heads: int,
    layers: int,
    inner: int,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return class logits ``(B, Q, C + 1)`` and mask logits ``(B, Q, T, H4, W4)`` by output."""
    head, size = "sem_seg_head.predictor", fine.shape[1]
    fine = fine.unflatten(0, (-1, frames))
    embed = w.of(f"{head}.level_embed.weight", LEVELS, size)
    tokens, positions, shapes = [], [], []
    for n, level in enumerate(levels):
        clip = level.unflatten(0, (-1, frames)).permute(0, 1, 3, 4, 2)
        shapes.append((clip.shape[2], clip.shape[3]))
        tokens.append(clip.flatten(1, 3) + embed[n])
        positions.append(sine((frames, *shapes[-1]), size).flatten(0, 2))
    place = w.of(f"{head}.query_embed.weight", queries, size)
    x = w.of(f"{head}.query_feat.weight", queries, size)[None].expand(len(fine), -1, -1)

    def predict() -> tuple[torch.Tensor, torch.Tensor]:
        normed = w.layer_norm(f"{head}.decoder_norm", x)
        hidden = normed
        for n in range(3):
            hidden = w.linear(f"{head}.mask_embed.layers.{n}", hidden, size)
            hidden = torch.relu(hidden) if n < 2 else hidden
        masks = torch.einsum("bqc,btchw->bqthw", hidden, fine)
        return w.linear(f"{head}.class_embed", normed, classes + 1), masks

    outputs = []
    for n in range(layers):
        outputs.append(predict())
        masks = outputs[-1][1]
        level = n % LEVELS
        small = functional.interpolate(
            masks.flatten(0, 1), size=shapes[level], mode="bilinear", align_corners=False
        )
        blocked = (small.unflatten(0, masks.shape[:2]).sigmoid() < 0.5).flatten(2)
        blocked = blocked & ~blocked.all(-1, keepdim=True)
        key = tokens[level] + positions[level]
        name = f"{head}.transformer_cross_attention_layers.{n}"
        mixed = attention(
            w, f"{name}.multihead_attn", x + place, key, tokens[level], heads, blocked
        )
        x = w.layer_norm(f"{name}.norm", x + mixed)
        name = f"{head}.transformer_self_attention_layers.{n}"
        mixed = attention(w, f"{name}.self_attn", x + place, x + place, x, heads)
        x = w.layer_norm(f"{name}.norm", x + mixed)
        name = f"{head}.transformer_ffn_layers.{n}"
        hidden = torch.relu(w.linear(f"{name}.linear1", x, inner))
        x = w.layer_norm(f"{name}.norm", x + w.linear(f"{name}.linear2", hidden, size))
    return [*outputs, predict()]
