"""Checkpoints that are truncated, bit-flipped or deleted."""

import pathlib
import random
import shutil
from collections.abc import Callable, Iterator

from benchmarks.faults import commands, endings, workloads
from benchmarks.faults.outcome import Outcome, without_folders

PARTS = ("index", "data-00000-of-00001")
HALF = "--iterations=30"


def _truncate(path: pathlib.Path, chance: random.Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: chance.randrange(len(content))])


def _flip(path: pathlib.Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _delete(path: pathlib.Path, chance: random.Random) -> None:
    del chance
    path.unlink()


KINDS: dict[str, Callable[[pathlib.Path, random.Random], None]] = {
    "truncated": _truncate,
    "with a flipped bit": _flip,
    "deleted": _delete,
}
"""What is done to a file, by its name in the table."""


def checkpoints(folder: pathlib.Path, times: int, seed: int) -> Iterator[Outcome]:
    """Damages the last checkpoint, at a random place of each of its files, and goes on.

    Args:
      folder: where to work.
      times: how often for each kind of damage and each file.
      seed: what the places are drawn by.
    """
    training = workloads.training("sinusoid")
    whole, half = folder / "whole", folder / "half"
    commands.run([*training.command(half), HALF])
    shutil.copytree(half, whole)
    commands.run(training.command(whole))
    expected = training.ending(whole)
    last = endings.last_checkpoint(half)
    for kind, damage in KINDS.items():
        chance = random.Random(seed)
        wrong, told = [], 0
        for number, part in enumerate(PARTS * times):
            run = folder / "damaged"
            shutil.copytree(half, run)
            damage(run / "checkpoints" / f"{last}.{part}", chance)
            done = commands.run(training.command(run))
            told += any("is damaged; going on from an earlier" in line for line in done.said)
            differing = done.said[-1:] if done.code else []
            differing = differing or endings.differences(training.ending(run), expected)
            if differing:
                wrong.append(f"{part}, {number}: {differing[0]}")
            shutil.rmtree(run)
        count = len(PARTS) * times
        found = (
            f"named as damaged {told} times; went on from the one before, and ended bit for bit "
            "like a run whose checkpoint was whole"
        )
        yield Outcome(
            f"the last checkpoint {kind}",
            "train, sinusoid",
            count,
            count - len(wrong),
            without_folders("; ".join([*wrong, found][:3]), [folder]),
        )
    yield _all_of_them(folder, half, training)


def _all_of_them(folder: pathlib.Path, half: pathlib.Path, training: workloads.Workload) -> Outcome:
    run = folder / "all"
    shutil.copytree(half, run)
    for path in (run / "checkpoints").glob("*.index"):
        path.write_bytes(path.read_bytes()[:20])
    done = commands.run(training.command(run))
    words = done.refused or f"no sentence: {done.said[-1:]}"
    return Outcome(
        "all checkpoints truncated",
        "train, sinusoid",
        1,
        int(done.refused is not None),
        without_folders(f"“{words}”", [folder]),
    )
