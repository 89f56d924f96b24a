"""Fuzz every reader: ``make fuzz``, or ``python tests/fuzz/fuzz.py``.

Goes on where it was stopped, as long as the code is the same; inputs that were a fault are kept
beside. Prints a table, as Markdown; ``--json FILE`` writes it as the benchmarks do.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cases import Case
    from runner import Outcome

HERE = Path(__file__).parent
CACHE = HERE / ".cache"
TITLE = "Fuzzing every reader of files"
BATCH = 500
WANTED = 100_000
HEAD = (
    "reader",
    "inputs",
    "accepted",
    "refused",
    "crashes",
    "hangs",
    "over 1 GB",
    "peak MB",
    "a s",
)


def main(arguments: Sequence[str] | None = None) -> int:
    # Before numpy is imported: threads would not live through a fork.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    args = parsed(arguments)
    from readers import READERS

    chosen = args.reader or list(READERS)
    if unknown := sorted(set(chosen) - set(READERS)):
        print(f"There is no reader {unknown[0]}. Choose of {', '.join(READERS)}.", file=sys.stderr)
        return 2
    if args.show is not None:
        return show(chosen[0], args.show, args.keep)
    found = {}
    with contextlib.suppress(KeyboardInterrupt):
        for name in chosen:
            found[name] = fuzz(name, args.count, Path(args.cache), fresh=args.fresh)
    text = report(found)
    print(text)
    if args.json:
        Path(args.json).write_text(json.dumps(as_json(found, text, args.count)) + "\n")
    return int(any(each.faults for each in found.values()))


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reader", nargs="+", help="some of them")
    parser.add_argument("--count", type=int, default=WANTED, help="inputs a reader (%(default)s)")
    parser.add_argument("--json", help="write the table there as well")
    parser.add_argument("--cache", default=str(CACHE), help="where the state is kept")
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--show", type=int, help="run one input here, with its traceback")
    parser.add_argument("--keep", help="with --show: keep the input in the corpus by this name")
    return parser.parse_args(arguments)


def seeds_of(reader: str) -> list[Case]:
    """The kept cases, and one that our own writer makes."""
    from cases import VALID, kept
    from seeds import make

    found = kept(reader)
    if not any(name.startswith(VALID) for name in found):
        return [make(reader), *found.values()]
    return list(found.values())


def fuzz(reader: str, count: int, cache: Path, *, fresh: bool = False) -> Outcome:
    """Run a reader up to so many inputs, from where it was stopped."""
    from readers import IMPORTS, READERS
    from runner import Outcome, run

    for module in IMPORTS.get(reader, ()):
        importlib.import_module(module)
    seeds = seeds_of(reader)
    state, known_by = cache / f"{reader}.json", digest()
    found = Outcome()
    with contextlib.suppress(OSError, ValueError, TypeError):
        kept = json.loads(state.read_text())
        if kept.pop("known_by") == known_by and not fresh:
            found = Outcome(**kept)
            found.faults = [tuple(each) for each in found.faults]
    cache.mkdir(parents=True, exist_ok=True)
    for start in range(found.done, count, BATCH):
        part = run(reader, READERS[reader], seeds, range(start, min(count, start + BATCH)))
        found = joined(found, part)
        state.write_text(json.dumps({**dataclasses.asdict(found), "known_by": known_by}))
        tell(reader, found, part)
    return found


def joined(one: Outcome, other: Outcome) -> Outcome:
    return dataclasses.replace(
        one,
        done=one.done + other.done,
        accepted=one.accepted + other.accepted,
        refused=one.refused + other.refused,
        peak=max(one.peak, other.peak),
        seconds=one.seconds + other.seconds,
        faults=one.faults + other.faults,
    )


def tell(reader: str, found: Outcome, part: Outcome) -> None:
    if sys.stderr.isatty() or part.faults:
        print(f"{reader}: {found.done} inputs, {len(found.faults)} faults", file=sys.stderr)
    for kind, what, number in part.faults[:5]:
        print(f"  {kind} {what}: --reader {reader} --show {number}", file=sys.stderr)


def digest() -> str:
    """What figures belong to: the engine, this harness and its corpus."""
    found = hashlib.sha256()
    engine = HERE.parents[1] / "training" / "maskfree"
    for path in (*_files(engine, ".py"), *_files(HERE, ".py"), *_files(HERE / "corpus", "")):
        found.update(path.as_posix().encode() + path.read_bytes())
    return found.hexdigest()


def _files(folder: Path, suffix: str) -> Iterator[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return (path for path in paths if path.name.endswith(suffix) and ".cache" not in path.parts)


def show(reader: str, number: int, keep_as: str | None) -> int:
    """Run one input in this process, and let it raise what it raises."""
    import shutil

    from cases import CORPUS, entry, keep, write
    from readers import READERS
    from runner import input_of, scratch_folder

    seed, case, touched = input_of(reader, number, seeds_of(reader))
    scratch = Path(scratch_folder())
    write(case, scratch, {**seed, **case})
    print(f"{reader} {number}: {', '.join(sorted(touched)) or 'as it is'}", file=sys.stderr)
    if keep_as:
        keep(case, CORPUS / reader / keep_as)
    try:
        READERS[reader](scratch / entry(seed), number)
    finally:
        shutil.rmtree(scratch)
    return 0


def report(found: dict[str, Outcome]) -> str:
    rows = [HEAD, ("---", *("---:",) * (len(HEAD) - 1))]
    rows += [row(name, each) for name, each in found.items()]
    if found:
        total = next(iter(found.values()))
        for each in list(found.values())[1:]:
            total = joined(total, each)
        rows.append(row("**all**", total))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def row(name: str, each: Outcome) -> tuple[str, ...]:
    from runner import KINDS

    counts = (each.done, each.accepted, each.refused, *(each.count(kind) for kind in KINDS))
    rate = each.done / each.seconds if each.seconds else 0.0
    return name, *map(str, counts), f"{each.peak / 2**20:.0f}", f"{rate:.0f}"


def as_json(found: dict[str, Outcome], text: str, count: int) -> dict[str, Any]:
    faults = [fault for each in found.values() for fault in each.faults]
    done = sum(each.done for each in found.values())
    whole = all(each.done >= count for each in found.values())
    return {
        "title": TITLE,
        "rows": [
            {
                "what": f"{count} faulty files for each of {len(found)} readers",
                "target": "each is read or refused with one of our errors, in 10 s and 1 GB",
                "measured": f"{done} inputs, {len(faults)} faults",
                "met": not faults if whole else None,
                "why": "; ".join(sorted({f"{kind}: {what}" for kind, what, _ in faults})[:5]),
            }
        ],
        "text": text,
    }


if __name__ == "__main__":
    sys.exit(main())
