"""Does to the commands what may go wrong, and notes what came of it.

    python -m benchmarks.faults --json=docs/results/faults.json

Kills commands at random moments, fills and locks disks, damages checkpoints, removes directories
and data, and sets the clock back; then gives the same command again and compares its end, bit by
bit, with that of an undisturbed run. Omniglot is the real one where TFDS_DATA_DIR has it. Faults
whose rows of this --seed the file has already are not repeated; rows of another seed are added to
them. The exit code is 1 if something came out otherwise than promised.
"""

import json
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from absl import app, flags, logging

from benchmarks.faults import namespace
from metasgd_tf.process_environment import prepare_process

_JSON = flags.DEFINE_string("json", None, "A file for the results.")
_FAULTS = flags.DEFINE_list("faults", None, "Which faults; all if not given.")
_KILLS = flags.DEFINE_integer("kills", None, "Kills of each command; by default as in KILLS.")
_DAMAGES = flags.DEFINE_integer("damages", 4, "How often each file of a checkpoint is damaged.")
_SEED = flags.DEFINE_integer("seed", 0, "What moments and places are drawn by.")

KILLS = {"sinusoid": 50, "omniglot": 30, "navigation": 20, "evaluate": 10, "export": 10}
"""How often commands are killed."""

COMMAND = "python -m benchmarks.faults"

DISKS = ("full_disks", "read_only")
"""Faults that need a disk of one's own."""


def _kills(name: str, folder: pathlib.Path) -> Iterator:
    from benchmarks.faults import commands, workloads
    from benchmarks.faults.kills import killed

    times = _KILLS.value or KILLS[name]
    seed = _SEED.value
    if name == "omniglot" and not workloads.has_omniglot():
        print("kills_omniglot: left out, as TFDS_DATA_DIR has no omniglot/3.0.0", flush=True)
    elif name == "evaluate":
        trained = folder / "trained"
        commands.run(workloads.training("sinusoid").command(trained))

        def prepare(run: pathlib.Path) -> None:
            shutil.copytree(trained, run)

        yield from killed(name, workloads.evaluation(), times, folder, seed=seed, prepare=prepare)
    elif name == "export":
        run = folder / "trained"
        commands.run(workloads.training("sinusoid").command(run))
        yield from killed(name, workloads.export(run), times, folder, seed=seed)
    else:
        yield from killed(f"train, {name}", workloads.training(name), times, folder, seed=seed)


def _faults() -> dict[str, Callable[[pathlib.Path], Iterator]]:
    from benchmarks.faults import beside, damage, storage

    def of(name: str) -> Callable[[pathlib.Path], Iterator]:
        return lambda folder: _kills(name, folder)

    return {
        **{f"kills_{name}": of(name) for name in KILLS},
        "full_disks": storage.full_disks,
        "read_only": storage.read_only,
        "removed": storage.removed,
        "checkpoints": lambda folder: damage.checkpoints(folder, _DAMAGES.value, _SEED.value),
        "two_trainings": beside.two_trainings,
        "reader": beside.reader,
        "lost_data": beside.lost_data,
        "clock_set_back": beside.clock_set_back,
    }


def main(argv: list[str]) -> int | str:
    """Brings the faults about; returns the exit code, or a sentence for stderr."""
    del argv
    # Before anything starts a thread.
    refused = namespace.enter()
    prepare_process()
    logging.set_verbosity(logging.ERROR)  # TensorBoard's reader tells of every look.
    from benchmarks.faults import commands
    from metasgd_tf.output.provenance import provenance

    faults = _faults()
    chosen = _FAULTS.value or list(faults)
    unknown = sorted(set(chosen) - set(faults))
    if unknown:
        return f"--faults: unknown fault {', '.join(unknown)}; choose from {', '.join(faults)}."
    file = pathlib.Path(_JSON.value) if _JSON.value else None
    rows = json.loads(file.read_text("utf-8"))["rows"] if file and file.exists() else []
    with tempfile.TemporaryDirectory() as folder, commands.quickly():
        for name in chosen:
            if name in DISKS and refused:
                print(f"{name}: left out, as {refused}", flush=True)
                continue
            if any((row["of"], row["seed"]) == (name, _SEED.value) for row in rows):
                continue
            found: dict[tuple[str, str], dict[str, Any]] = {}
            for one in faults[name](pathlib.Path(folder) / name):
                row = {"of": name, "seed": _SEED.value, **one.row()}
                print(*row.values(), sep=" | ", flush=True)
                # Kills are told of after each run, the last time of all of them.
                found[one.fault, one.command] = row
                if file:
                    held = {"command": COMMAND, "rows": [*rows, *found.values()], **provenance()}
                    text = json.dumps(held, indent=2, ensure_ascii=False)
                    file.write_text(text + "\n", encoding="utf-8")
            rows.extend(found.values())
    return int(any(row["as_promised"] < row["times"] for row in rows))


if __name__ == "__main__":
    app.run(main)
