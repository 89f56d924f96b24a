from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from napari_maskfree._qt.main_widget import MaskFreeWidget

WAYS = ("vectors", "shapes")
RED, BLUE = "red", "blue"


def added(viewer: Viewer, way: str) -> Layer:
    if way == "vectors":
        arrows = np.array([[[10.0, 10.0], [40.0, 0.0]]])
        return viewer.add_vectors(
            arrows, edge_width=20, edge_color="red", vector_style="line", opacity=1
        )
    return viewer.add_shapes(
        [[[10, 10], [50, 50]]], shape_type="rectangle", face_color="red", edge_width=0, opacity=1
    )


def change(layer: Layer, way: str, by: float, colour: str) -> None:
    if way == "vectors":
        layer.data = np.add(layer.data, [[by, 0.0], [0.0, 0.0]])
        layer.edge_color = colour
    else:
        layer.data = [layer.data[0] + by]
        layer.face_color = colour


class Builds:
    """Counts how often a GL program is written anew."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from vispy.visuals.shaders.program import ModularProgram

        self.count, build = 0, ModularProgram._build

        def counted(program: ModularProgram) -> None:
            self.count += 1
            build(program)

        monkeypatch.setattr(ModularProgram, "_build", counted)


def drawn(viewer: Viewer) -> np.ndarray:
    """The canvas's colours that are pure: how many pixels are red, how many blue."""
    picture = viewer.screenshot(flash=False)[..., :3].reshape(-1, 3)
    return np.array([(picture == colour).all(1).sum() for colour in ((255, 0, 0), (0, 0, 255))])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", ["layer", "widget"])
def test_changed_data_are_drawn_by_the_program_that_there_is(
    viewer: Viewer, way: str, first: str, request: pytest.FixtureRequest
) -> None:
    if first == "widget":
        request.getfixturevalue("widget")
    viewer.add_image(np.zeros((80, 80)))
    layer = added(viewer, way)
    if first == "layer":
        request.getfixturevalue("widget")
    red, blue = drawn(viewer)
    assert red > 1000
    assert blue == 0
    change(layer, way, 2.0, BLUE)  # the first change may make what is kept
    drawn(viewer)
    with pytest.MonkeyPatch.context() as patch:
        builds = Builds(patch)
        change(layer, way, 3.0, RED)
        red, blue = drawn(viewer)
        change(layer, way, 4.0, BLUE)
        assert (red > 1000, blue) == (True, 0)
        red, blue = drawn(viewer)
    assert (red, blue > 1000) == (0, True)
    assert builds.count == 0


def test_after_the_widget_has_gone_layers_are_as_napari_makes_them(
    viewer: Viewer, widget: MaskFreeWidget
) -> None:
    before = len(viewer.layers.events.inserted.callbacks)
    widget.shut_down()
    assert len(viewer.layers.events.inserted.callbacks) < before
    layer = added(viewer, "vectors")
    assert drawn(viewer)[0] > 1000
    change(layer, "vectors", 2.0, BLUE)
    assert drawn(viewer)[1] > 1000
