"""Classes of the published data sets, in the order of their class outputs, and names that agree.

Sources: COCO 2017's 80 things, YouTube-VIS 2019 and 2021, OVIS and BDD100K's segmentation tracking,
each in the order of its category ids (OVIS' own spelling of "vehical" kept).
"""

from __future__ import annotations

from pathlib import Path

from maskfree.errors import InputError, nearest
from maskfree.storage import read_text

__all__ = ["CLASSES", "plain_name", "read_classes", "same_classes"]

CLASSES = {
    "coco": (
        "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, "
        "fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, "
        "elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, "
        "skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, "
        "tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, "
        "sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, "
        "potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, "
        "microwave, oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, "
        "hair drier, toothbrush"
    ),
    "ytvis2019": (
        "person, giant_panda, lizard, parrot, skateboard, sedan, ape, dog, snake, monkey, hand, "
        "rabbit, duck, cat, cow, fish, train, horse, turtle, bear, motorbike, giraffe, leopard, "
        "fox, deer, owl, surfboard, airplane, truck, zebra, tiger, elephant, snowboard, boat, "
        "shark, mouse, frog, eagle, earless_seal, tennis_racket"
    ),
    "ytvis2021": (
        "airplane, bear, bird, boat, car, cat, cow, deer, dog, duck, earless_seal, elephant, fish, "
        "flying_disc, fox, frog, giant_panda, giraffe, horse, leopard, lizard, monkey, motorbike, "
        "mouse, parrot, person, rabbit, shark, skateboard, snake, snowboard, squirrel, surfboard, "
        "tennis_racket, tiger, train, truck, turtle, whale, zebra"
    ),
    "ovis": (
        "Person, Bird, Cat, Dog, Horse, Sheep, Cow, Elephant, Bear, Zebra, Giraffe, Poultry, "
        "Giant_panda, Lizard, Parrot, Monkey, Rabbit, Tiger, Fish, Turtle, Bicycle, Motorcycle, "
        "Airplane, Boat, Vehical"
    ),
    "bdd100k": "pedestrian, rider, car, truck, bus, train, motorcycle, bicycle",
}
"""By the data set's name here, their names one after the other."""
_SYNONYMS = {
    "aeroplane": "airplane",
    "flying disc": "frisbee",
    "motorbike": "motorcycle",
    "pedestrian": "person",
    "vehical": "vehicle",
}
_SENSES = {"mouse": "keyboard"}
"""Names of two things: of the one where the second class is there as well, else of the other."""
_MOST = 100_000
"""Bytes of a list of classes."""


def read_classes(source: str) -> tuple[str, ...]:
    """Return the classes of a data set by its name in ``CLASSES``, or of a file, one a line.

    Raises
    ------
    InputError
        For another name where there is no such file, and for one without classes or too long.
    """
    if source in CLASSES:
        return tuple(CLASSES[source].split(", "))
    path = Path(source)
    if not path.is_file():
        raise InputError(
            f"--classes must be {', '.join(CLASSES)} or a file with one class a line, got "
            f'"{source}".{nearest(source, CLASSES)}'
        )
    if path.stat().st_size > _MOST:
        raise InputError(f"{path} is too long for a list of classes. Give one class a line.")
    lines = [line.strip() for line in read_text(path, "list of classes").splitlines()]
    names = tuple(line for line in lines if line)
    if len(set(names)) < len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise InputError(f'{path} names "{twice}" twice. Give every class a name of its own.')
    if not names:
        raise InputError(f"{path} names no class. Give one class a line.")
    return names


def same_classes(old: tuple[str, ...], new: tuple[str, ...]) -> dict[int, int]:
    """Return where each class of ``new`` is among those of ``old``, by its place; others are out.

    Case, underscores and hyphens do not matter, nor which of two usual names one has; where several
    would do, the same name comes first, then one that no other class has. COCO's mouse lies beside
    a keyboard, YouTube-VIS' is an animal: they are two.
    """
    plain_old, plain_new = list(map(plain_name, old)), list(map(plain_name, new))
    marks = {name: mark for name, mark in _SENSES.items() if name in plain_old}
    apart = {name for name, mark in marks.items() if (mark in plain_old) != (mark in plain_new)}
    exact = {name: place for place, name in reversed(list(enumerate(old)))}
    found = {n: exact[name] for n, name in enumerate(new) if name in exact}
    found = {n: place for n, place in found.items() if plain_new[n] not in apart}
    taken = set(found.values())
    for n, name in enumerate(plain_new):
        places = [place for place, known in enumerate(plain_old) if known == name]
        if n not in found and places and name not in apart:
            found[n] = next((place for place in places if place not in taken), places[0])
            taken.add(found[n])
    return dict(sorted(found.items()))


def plain_name(name: str) -> str:
    """Return what two names of one class have in common."""
    words = " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
    return _SYNONYMS.get(words, words)
