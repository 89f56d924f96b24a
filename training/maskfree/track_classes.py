"""The classes of a video: the labels of its tracks, and those that no track has yet, in one order.

The order is that of the tracks. Where it is another, or a class has no track, the boxes file holds
the names in its field ``classes``, which other readers pass over. All functions are pure.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, TypeGuard

from maskfree.colours import track_colour
from maskfree.errors import InputError
from maskfree.json_checks import show
from maskfree.tracks import find_track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.types import BoxTracks

__all__ = [
    "add_class",
    "class_colours",
    "class_names",
    "reclass_track",
    "relabel_track",
    "remove_class",
    "rename_class",
    "steady_classes",
]

FIELD = "classes"


def class_names(tracks: BoxTracks) -> tuple[str, ...]:
    """Return the names of all classes, each once: the listed ones, then other labels in use."""
    return tuple(dict.fromkeys([*_listed(tracks), *(track.label for track in tracks.tracks)]))


def class_colours(tracks: BoxTracks) -> dict[int, tuple[int, int, int]]:
    """Return the RGB colour (0 to 255) of each track's class by the track's id."""
    places = {name: n for n, name in enumerate(class_names(tracks), start=1)}
    return {track.id: track_colour(places[track.label]) for track in tracks.tracks}


def add_class(tracks: BoxTracks, name: str) -> BoxTracks:
    """Return the tracks with one more class, at the end.

    Raises
    ------
    InputError
        For a blank name or one that is taken.
    """
    name, names = _checked(name), class_names(tracks)
    if name in names:
        raise InputError(f'There is a class "{name}" already. Choose another name.')
    return _with(tracks, [*names, name])


def rename_class(tracks: BoxTracks, old: str, new: str) -> BoxTracks:
    """Return the tracks with the label ``old`` changed on all; one that is taken joins the two.

    Raises
    ------
    InputError
        For a blank name, or a class that there is not.
    """
    new, names = _checked(new), class_names(tracks)
    _check_known(old, names)
    if new == old:
        return tracks
    changed = tuple(
        dataclasses.replace(track, label=new) if track.label == old else track
        for track in tracks.tracks
    )
    if not _is_ours(tracks.extra.get(FIELD, [])):
        return dataclasses.replace(tracks, tracks=changed)
    place = [] if new in names else [new]
    left = [other for name in names for other in (place if name == old else [name])]
    return _with(dataclasses.replace(tracks, tracks=changed), left)


def remove_class(tracks: BoxTracks, name: str) -> BoxTracks:
    """Return the tracks without a class that no track has.

    Raises
    ------
    InputError
        For a class that a track has, or that there is not.
    """
    names = class_names(tracks)
    _check_known(name, names)
    users = [track.id for track in tracks.tracks if track.label == name]
    if users:
        ids = ", ".join(map(str, users))
        raise InputError(
            f'Track {ids} is of class "{name}". Give it another class first, then remove this one.'
        )
    return _with(tracks, [other for other in names if other != name])


def reclass_track(tracks: BoxTracks, track_id: int, name: str) -> BoxTracks:
    """Return the tracks with ``track_id`` in another class; the classes stay where they are.

    Raises
    ------
    InputError
        For an id that no track has, or a blank name.
    """
    track, name = find_track(tracks, track_id), _checked(name)
    changed = tuple(
        dataclasses.replace(each, label=name) if each is track else each for each in tracks.tracks
    )
    made = dataclasses.replace(tracks, tracks=changed)
    if not _is_ours(tracks.extra.get(FIELD, [])):
        return made
    return _with(made, [*dict.fromkeys([*class_names(tracks), name])])


def relabel_track(tracks: BoxTracks, track_id: int, label: str) -> BoxTracks:
    """Return the tracks with another label written on ``track_id``.

    A new label on the only track of a class renames the class; else the track changes its class.

    Raises
    ------
    InputError
        For an id that no track has, or a blank label.
    """
    old = find_track(tracks, track_id).label
    alone = sum(track.label == old for track in tracks.tracks) == 1
    if alone and label.strip() not in class_names(tracks):
        return rename_class(tracks, old, label)
    return reclass_track(tracks, track_id, label)


def steady_classes(before: BoxTracks, after: BoxTracks) -> BoxTracks:
    """Return ``after`` with the classes of ``before`` in their places, whatever tracks went.

    Only a last class may go with its last track; the others would all move up.
    """
    if before.extra is not after.extra:
        return after  # the classes themselves were changed
    if not _is_ours(before.extra.get(FIELD, [])):
        return after  # another tool's field: it stays as it is
    known, now = class_names(before), class_names(after)
    if now[: len(known)] == known[: len(now)]:
        return after
    return _with(after, [*dict.fromkeys([*known, *now])])


def _listed(tracks: BoxTracks) -> Sequence[str]:
    listed = tracks.extra.get(FIELD)
    return listed if _is_ours(listed) else ()


def _is_ours(listed: object) -> TypeGuard[list[str]]:
    return isinstance(listed, list) and all(isinstance(name, str) and name for name in listed)


def _with(tracks: BoxTracks, names: Sequence[str]) -> BoxTracks:
    """Return the tracks with these classes; listed in the file only where the labels do not say."""
    if not _is_ours(tracks.extra.get(FIELD, [])):
        raise InputError(
            f'The boxes file has a field "{FIELD}" that is no list of names: '
            f"{show(tracks.extra[FIELD])}. Remove it from the file, then change the classes."
        )
    plain = dataclasses.replace(
        tracks, extra={key: value for key, value in tracks.extra.items() if key != FIELD}
    )
    if class_names(plain) == tuple(names):
        return plain
    return dataclasses.replace(plain, extra={**plain.extra, FIELD: list(names)})


def _checked(name: str) -> str:
    if not name.strip():
        raise InputError("A class needs a name, got blank text. Write one like car.")
    return name.strip()


def _check_known(name: str, names: Sequence[str]) -> None:
    if name not in names:
        known = ", ".join(names) or "none"
        raise InputError(f'There is no class "{name}". The classes are: {known}.')
