"""Reading a results file of YouTube-VIS's kind, as evaluation servers take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.formats.segmentation import parse
from maskfree.inference.video_inference import FoundTrack
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.storage import open_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.datasets.types import DataVideo, VideoDataset

__all__ = ["ResultsFile"]


class ResultsFile:
    """A results file on the disk; in memory is where each result of a video begins.

    Parameters
    ----------
    path
        The file, not zipped.
    dataset
        The data set that the results are of.

    Raises
    ------
    InputError
        Where the file cannot be read, is no list of results, or names a video that the data set
        does not have.
    """

    def __init__(self, path: Path, dataset: VideoDataset) -> None:
        self._path, self._name = path, f"results file {path}"
        self._indices = {number: index for index, number in enumerate(dataset.class_ids)}
        self._places: dict[int, list[tuple[int, int]]] = {}
        if path.suffix.lower() == ".zip":
            raise InputError(f"{path} is an archive for a server. Give the results.json in it.")
        known = {video.id for video in dataset.videos}
        with open_bytes(path, "results file") as file:
            stream = JsonStream(file, self._name)
            if stream.peek() != "[":
                as_list(stream.value(), str(path), "a results file")
            for number in stream.items():
                place, where = stream.byte(), f"{path}: result {number}"
                video = self._video_of(stream, where)
                if video not in known:
                    raise InputError(
                        f"{where} is of a video {video}, which {dataset.name} does not have. "
                        "Check --kind and --split."
                    )
                self._places.setdefault(video, []).append((number, place))
            stream.end()

    def holds(self, video: DataVideo) -> bool:
        """Whether there is a result of a video."""
        return video.id in self._places

    def of(self, video: DataVideo) -> list[FoundTrack]:
        """Return the results of a video, in the file's order.

        Raises
        ------
        InputError
            Where a result is not what it should be; the message says which and what.
        """
        found = []
        with open_bytes(self._path, "results file") as file:
            for number, place in self._places.get(video.id, []):
                value = JsonStream(file, self._name, start=place).value()
                found.append(self._track(value, video, f"{self._path}: result {number}"))
        return found

    @staticmethod
    def _video_of(stream: JsonStream, where: str) -> int:
        if stream.peek() != "{":
            as_object(stream.value(), where, "a result", "video_id")
        video = None
        for field in stream.fields():
            if field == "video_id":
                video = stream.value()
        return as_whole(video, where, "video_id")

    def _track(self, value: Any, video: DataVideo, where: str) -> FoundTrack:
        result = as_object(value, where, "a result", "video_id")
        category = as_whole(result.get("category_id"), where, "category_id")
        if category not in self._indices:
            raise InputError(
                f"{where}: there is no category {category}, only {show(sorted(self._indices))}. "
                "Results are of another data set, or carry no published ids."
            )
        score = as_number(result.get("score"))
        if score is None:
            raise InputError(
                f"{where}: score must be a finite number, got {show(result.get('score'))}."
            )
        masks = as_list(result.get("segmentations"), where, "segmentations")
        if len(masks) != len(video.files):
            raise InputError(
                f"{where}: segmentations must have one entry for each of the {len(video.files)} "
                f"frames, got {len(masks)}. Write null where the object is absent."
            )
        segments = tuple(
            parse(mask, video.height, video.width, f"{where}, frame {frame}")
            for frame, mask in enumerate(masks)
        )
        return FoundTrack(self._indices[category], score, segments)
