"""Small valid files for every reader, made by our own writers, the same ones every time."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cases import case_of
from maskfree.formats import FORMATS, Annotations, export
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Callable

    from cases import Case

FRAMES, HEIGHT, WIDTH = 4, 12, 16
SUFFIXES = {
    "boxes": ".json",
    "coco": ".json",
    "ytvis": ".json",
    "ovis": ".json",
    "bdd100k": ".json",
    "labelstudio": ".json",
    "mots": ".txt",
    "cvat": ".xml",
    "tiff": ".tif",
    "npz": ".npz",
    "csv": ".csv",
}
"""Of formats that are one file."""


def annotations() -> Annotations:
    """Two tracks with masks, that overlap, and one that was never seen; a division; a region."""
    first, second = np.zeros((2, HEIGHT, WIDTH), bool)
    first[2:8, 1:9] = second[5:10, 6:14] = True
    both = InstanceMasks((1, 2), np.stack([first, second]), (0.5, 1.0))
    none = InstanceMasks((), np.zeros((0, HEIGHT, WIDTH), bool), ())
    one = InstanceMasks((2,), second[None], (1.0,))
    frames = [both, one, None, none]
    tracks = (
        Track(
            1,
            "car",
            (
                Keyframe(0, (1.5, 2.0, 9.0, 8.25)),
                Keyframe(1, (2.0, 2.0, 9.0, 8.0), occluded=True),
                Keyframe(3, None, outside=True),
            ),
        ),
        Track(2, "dog", (Keyframe(1, (6.0, 5.0, 14.0, 10.0)),), parent=1),
        Track(5, "dog", ()),
    )
    ignore = (IgnoreRegion(((0.0, 0.0), (4.0, 0.0), (4.0, 4.5)), 0, 2),)
    boxes = BoxTracks(FRAMES, HEIGHT, WIDTH, 25.0, tracks, ignore)
    return Annotations(boxes, [f"{n:05d}" for n in range(FRAMES)], frames.__getitem__)


def plain() -> Annotations:
    """The same without what some formats cannot hold."""
    full = annotations()
    return dataclasses.replace(full, boxes=dataclasses.replace(full.boxes, ignore=()))


def of_format(name: str) -> Case:
    """What the format writes of the annotations."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        suffix = "" if FORMATS[name].folder else SUFFIXES.get(name, ".json")
        export(annotations(), Path(scratch) / f"in{suffix}", name)
        return case_of(Path(scratch))


def session() -> Case:
    """A session with boxes, masks, corrections and two runs, one with everything a run leaves."""
    from maskfree.config import Config
    from maskfree.corrections import Correction
    from maskfree.preview_files import Measure, Shot
    from maskfree.session import Session

    told = plain()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "in"
        made = Session.create(folder, video_source=None, boxes=told.boxes)
        for frame in (0, 1, 3):
            masks = told.read_masks(frame)
            assert masks is not None
            made.mask_store().write(frame, masks)
        mask = told.read_masks(1).masks[0]  # type: ignore[union-attr]
        gold, some = Correction.whole(mask, gold=True), Correction.make(mask, np.zeros_like(mask))
        made.corrections.write(0, {1: gold, 2: some})
        made.corrections.write(1, {2: dataclasses.replace(some, carried=0)})
        first, second = (made.new_run(Config(), seed=seed) for seed in (0, 1))
        first.append({"step": 1, "loss": 2.5, "status": "running"})
        first.append({"step": 2, "status": "done"})
        shot = Shot(2, {0: told.read_masks(0)}, Measure("gold", (0,)), ((2, 0.5),))  # type: ignore[dict-item]
        first.previews.write("now", shot)
        first.previews.want([0, 2])
        first.previews.write_picture(0, np.zeros((HEIGHT, WIDTH, 3), np.uint8))
        (first.path / "told.json").write_text('{"trained": [0], "masks": [1], "first": [3]}\n')
        made.predict_log.append({"status": "done", "run": second.name})
        return case_of(Path(scratch))


def part_of_session(start: str, name: str) -> Case:
    """One file of the session, as a case of its own."""
    found = next(content for path, content in session().items() if path.startswith(f"in/{start}"))
    return {name: found}


def tubes() -> Case:
    from maskfree.kept_tubes import KeptTubes

    tracks = plain().boxes
    boxes = np.arange(len(tracks.tracks) * FRAMES * 4, dtype=float).reshape(-1, FRAMES, 4)
    return {"in.npz": KeptTubes.of(tracks, boxes, boxes[..., 0]).to_bytes()}


def consensus() -> Case:
    from maskfree.appearance import ColourModel
    from maskfree.belief import Belief
    from maskfree.config import ConsensusConfig
    from maskfree.consensus_memory import ConsensusMemory

    belief = Belief((FRAMES, 3, 4))
    belief[1] = np.arange(12, dtype=np.int8).reshape(3, 4)
    colours = ColourModel([np.zeros((4, 3), np.float32)], ConsensusConfig())
    return {"in.npz": ConsensusMemory(belief, 1.5, {1: colours}).to_bytes()}


def frame_index() -> Case:
    from maskfree.video_decode import Identify
    from maskfree.video_index import FrameIndex
    from maskfree.video_index_file import INDEX_FILE, write_index

    index = FrameIndex(
        Identify.PTS,
        np.arange(6) * 512,
        starts=np.array([0, 3]),
        start_times=np.array([[0, 0], [1536, 1535]]),
        numbers={48: 0, 900: 3},
        announced=6,
    )
    with tempfile.TemporaryDirectory() as scratch:
        write_index(Path(scratch), index, b"\0" * 32)
        return {"in.npz": (Path(scratch) / INDEX_FILE).read_bytes()[64:]}


def weights_zip() -> Case:
    return {"in.pth": _torch(new=True)}


def weights_legacy() -> Case:
    return {"in.bin": _torch(new=False)}


def _torch(*, new: bool) -> bytes:
    import torch

    weight = torch.arange(6.0).reshape(2, 3)
    content = {
        "model": {"a.weight": weight, "turned": weight.T, "count": torch.tensor(3)},
        "arrays": np.arange(3.0),
        "iteration": 5,
        "lr": 0.5,
    }
    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=new)
    return out.getvalue()


def weights_pickle() -> Case:
    """As detectron2 has it: a dictionary of arrays, protocol 2."""
    arrays = {"conv1.weight": np.arange(8, dtype=np.float32).reshape(2, 4), "fc": np.zeros(3)}
    content = {"model": arrays, "__author__": "torchvision", "matching_heuristics": True}
    return {"in.pkl": pickle.dumps(content, protocol=2)}


def weights_safetensors() -> Case:
    import safetensors.torch
    import torch

    tensors = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2, dtype=torch.int64)}
    return {"in.safetensors": safetensors.torch.save(tensors, metadata={"format": "pt"})}


def state() -> Case:
    import torch

    parameter = torch.nn.Parameter(torch.ones(2, 2))
    optimiser = torch.optim.AdamW([parameter])
    parameter.sum().backward()  # type: ignore[no-untyped-call]
    optimiser.step()
    content = {
        "step": 3,
        "classes": ["car"],
        "model": {"w": parameter},
        "optimiser": optimiser.state_dict(),
        "numpy_rng": {"state": {"state": "17"}, "has_uint32": 0},
        "teacher": None,
    }
    out = io.BytesIO()
    torch.save(content, out)
    return {"in.pt": out.getvalue()}


def model() -> Case:
    from maskfree.config import Config
    from maskfree.settings import to_dict

    about = {
        "format": 1,
        "config": to_dict(Config()),
        "classes": ["car"],
        "track_ids": [1],
        "num_queries": 8,
    }
    (weights,) = weights_safetensors().values()
    return {"in/model.json": json.dumps(about).encode(), "in/model.safetensors": weights}


def pictures() -> Case:
    """A folder of frames."""
    found = {}
    for n in range(3):
        out = io.BytesIO()
        Image.fromarray(np.full((6, 8, 3), 50 * n, np.uint8)).save(out, format="PNG")
        found[f"in/{n:03d}.png"] = out.getvalue()
    return found


def stack() -> Case:
    import tifffile

    out = io.BytesIO()
    frames = np.arange(3 * 6 * 8, dtype=np.uint16).reshape(3, 6, 8)
    tifffile.imwrite(out, frames, photometric="minisblack", metadata={"axes": "TYX"})
    return {"in.tif": out.getvalue()}


def zarr_array() -> Case:
    import zarr

    with tempfile.TemporaryDirectory() as scratch:
        array = zarr.open_array(
            str(Path(scratch) / "in"), mode="w", shape=(3, 6, 8), chunks=(1, 6, 8), dtype="u1"
        )
        array[:] = np.arange(144, dtype=np.uint8).reshape(3, 6, 8)
        return case_of(Path(scratch))


def film() -> Case:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for n in range(5):
            picture = np.full((32, 32, 3), 40 * n, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return {"in.mp4": out.getvalue()}


def journal() -> Case:
    """Edits of boxes and corrections, undone, made again and saved."""
    from maskfree.corrections import Correction
    from maskfree.journal import make_line
    from maskfree.journal_records import base_record, edit_record, open_record

    boxes = plain().boxes
    fewer = dataclasses.replace(boxes, tracks=boxes.tracks[:2])
    masks = annotations().read_masks(0)
    assert masks is not None
    said = {0: {1: Correction.whole(masks.masks[0])}}
    selected = 1, 2
    records = [
        base_record(boxes, 1),
        open_record(),
        edit_record("edit", "delete track 5", (boxes, fewer), selected, ({}, {})),
        edit_record("edit", "correct", (fewer, fewer), selected, ({0: {}}, said)),
        {"kind": "undo", "selected": 2},
        {"kind": "redo", "selected": 1},
        {"kind": "saving", "digest": "0" * 64, "at": 4},
        {"kind": "saved", "digest": "0" * 64, "at": 4},
        {"kind": "wrote", "frames": [0]},
        edit_record("loaded", "load boxes", (fewer, boxes), selected, ({}, {})),
        {"kind": "forget"},
        {"kind": "kept"},
    ]
    lines = [make_line(n, {**each, "t": ""}) for n, each in enumerate(records, start=1)]
    return {"in.jsonl": b"".join(lines)}


def prints() -> Case:
    """What a session's frames show."""
    from maskfree.frame_prints import make_prints, write_prints
    from maskfree.video import open_video

    with tempfile.TemporaryDirectory() as scratch:
        folder, case = Path(scratch) / "in", pictures()
        folder.mkdir()
        for name, content in case.items():
            (Path(scratch) / name).write_bytes(content)
        with open_video(folder) as video:
            made = make_prints(video)
        write_prints(Path(scratch), made)
        (content,) = (p.read_bytes() for p in Path(scratch).glob("*.json"))
        return {"in/frame_prints.json": content}


MAKERS: dict[str, Callable[[], Case]] = {
    "session": session,
    "masks": lambda: part_of_session("masks/", "in/00000.json"),
    "corrections": lambda: part_of_session("corrections/", "in/00000.json"),
    "log": lambda: part_of_session("runs/0001/metrics", "in.jsonl"),
    "journal": journal,
    "prints": prints,
    "run-config": lambda: part_of_session("runs/0001/config", "in/config.json"),
    "preview": lambda: part_of_session("runs/0001/previews/now", "in/now.json"),
    "preview-picture": lambda: part_of_session("runs/0001/previews/00000", "in/00000.png"),
    "tubes": tubes,
    "consensus": consensus,
    "frame-index": frame_index,
    "weights-zip": weights_zip,
    "weights-legacy": weights_legacy,
    "weights-pickle": weights_pickle,
    "weights-safetensors": weights_safetensors,
    "state": state,
    "model": model,
    "video-file": film,
    "video-folder": pictures,
    "video-stack": stack,
    "video-zarr": zarr_array,
}


def make(reader: str) -> Case:
    """A valid case of a reader; of a format by its name."""
    return of_format(reader) if reader in FORMATS else MAKERS[reader]()
