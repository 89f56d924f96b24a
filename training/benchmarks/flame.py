"""Flame graphs as SVG: how often which stack was seen, as boxes as wide as their part of the time.

The outermost call is on top, what it calls below it. Graphs in one picture share one scale.
"""

from __future__ import annotations

import colorsys
import dataclasses
import html
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Graph", "flame_svg"]

WIDTH, MARGIN, ROW, TITLE = 1600, 10, 20, 34
LETTER = 6.6
"""Width of a letter of the boxes' text, pixels."""
LEAST = 0.7
"""Boxes narrower than this are left out, pixels."""
FONT = "12px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
HUES = {"backward": 215, "forward": 28, "losses": 130, "data": 275}
"""What a box is about, and its colour."""


@dataclasses.dataclass(frozen=True)
class Graph:
    """One graph: a title, what its whole width stands for, and ``(stack, times seen)``."""

    title: str
    milliseconds: float
    stacks: Sequence[tuple[Sequence[str], int]]


@dataclasses.dataclass
class _Node:
    name: str
    count: int = 0
    inside: dict[str, _Node] = dataclasses.field(default_factory=dict)

    def child(self, name: str) -> _Node:
        return self.inside.setdefault(name, _Node(name))

    def depth(self) -> int:
        return 1 + max((node.depth() for node in self.inside.values()), default=0)


def _tree(graph: Graph) -> _Node:
    root = _Node("step")
    for stack, count in graph.stacks:
        node = root
        node.count += count
        for name in stack:
            node = node.child(name)
            node.count += count
    return root


def flame_svg(graphs: Iterable[Graph]) -> str:
    """Return the graphs as one SVG, one below the other."""
    graphs = list(graphs)
    longest = max((graph.milliseconds for graph in graphs), default=1.0) or 1.0
    parts, top = [], MARGIN
    for graph in graphs:
        tree = _tree(graph)
        scale = (WIDTH - 2 * MARGIN) * graph.milliseconds / longest / max(1, tree.count)
        unit = graph.milliseconds / max(1, tree.count)
        parts.append(
            f'<text x="{MARGIN}" y="{top + 20}" class="title">{html.escape(graph.title)}</text>'
        )
        top += TITLE
        parts += _boxes(tree, MARGIN, top, scale, unit, "forward")
        top += tree.depth() * ROW + MARGIN
    style = (
        f"text {{ font: {FONT}; fill: #111; }} .title {{ font: bold 15px sans-serif; }} "
        "rect { stroke: #fff; stroke-width: 0.7; }"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" '
            f'width="{WIDTH}" height="{top}">',
            f"<style>{style}</style>",
            f'<rect width="{WIDTH}" height="{top}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _boxes(
    node: _Node, left: float, top: float, scale: float, unit: float, kind: str
) -> Iterator[str]:
    """Draw a call and what it calls: the longest to the left, equals by name."""
    width = node.count * scale
    if width < LEAST:
        return
    kind = _kind(node.name, kind)
    said = html.escape(f"{node.name}: {node.count * unit:.1f} ms")
    yield (
        f'<g><title>{said}</title><rect x="{left:.1f}" y="{top}" width="{width:.1f}" '
        f'height="{ROW}" fill="{_colour(node.name, kind)}"/>{_text(node, left, top, width, unit)}'
        "</g>"
    )
    for child in sorted(node.inside.values(), key=lambda each: (-each.count, each.name)):
        yield from _boxes(child, left, top + ROW, scale, unit, kind)
        left += child.count * scale


def _text(node: _Node, left: float, top: float, width: float, unit: float) -> str:
    room = int((width - 8) / LETTER)
    text = f"{node.name} {node.count * unit:.0f} ms"
    if len(text) > room:
        text = node.name
    if len(text) > room:
        text = text.partition(" · ")[0]
    if len(text) > room:
        text = text[: room - 1] + "…" if room > 3 else ""
    where = f'x="{left + 4:.1f}" y="{top + ROW - 6}"'
    return f"<text {where}>{html.escape(text)}</text>" if text else ""


def _kind(name: str, above: str) -> str:
    """Return what a call is about; what it calls is about the same."""
    if name == "backward":
        return "backward"
    if name.startswith("Objective."):
        return "losses"
    return "data" if name.startswith("ClipSampler.") else above


def _colour(name: str, kind: str) -> str:
    light = 0.72 + zlib.crc32(name.encode()) % 14 / 100
    red, green, blue = (
        round(255 * part) for part in colorsys.hls_to_rgb(HUES[kind] / 360, light, 0.75)
    )
    return f"#{red:02x}{green:02x}{blue:02x}"
