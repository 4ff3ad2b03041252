"""A disk that is full or read-only, and a directory that is removed under a run."""

import pathlib
import shutil
from collections.abc import Iterator

from benchmarks.faults import commands, endings, namespace, workloads
from benchmarks.faults.outcome import Outcome, without_folders

MEGABYTES = 8
HALF = "--iterations=20"
"""As many iterations as the sinusoid's training makes before something goes wrong."""

ROOM = {"checkpoint": 24_576, "summary": 12_288, "export": 24_576, "evaluation": 0}
"""Bytes that are left on a full disk: for the flags and the heads of the files, and no more."""


def full_disks(folder: pathlib.Path) -> Iterator[Outcome]:
    """Fills the disk in the midst of a run, then makes room and gives the same command again."""
    yield _full_in_training(folder / "checkpoint", "checkpoint", workloads.training("sinusoid"))
    often = workloads.training("sinusoid", "--summary_interval=1", "--checkpoint_interval=20")
    yield _full_in_training(folder / "summary", "summary", often)
    whole = folder / "run"
    commands.run(workloads.training("sinusoid", HALF).command(whole))
    yield _full_beside(folder / "export", "export", workloads.export(whole))
    yield _full_beside(folder / "evaluation", "evaluation", workloads.evaluation(), whole)


def _full_in_training(folder: pathlib.Path, what: str, training: workloads.Workload) -> Outcome:
    expected = _undisturbed(training, folder / "whole")
    with namespace.disk(folder / "disk", MEGABYTES) as disk:
        run = disk / "run"
        commands.run([*training.command(run), HALF])
        filler = namespace.fill(disk, ROOM[what])
        done = commands.run(training.command(run))
        filler.unlink()
        last = endings.last_checkpoint(run)
        again = commands.run(training.command(run))
        return _judged(
            f"the disk is full at a {what}",
            "train, sinusoid",
            done,
            again,
            [] if again.code else endings.differences(training.ending(run), expected),
            f"kept: {last}",
            [disk],
        )


def _full_beside(
    folder: pathlib.Path,
    what: str,
    workload: workloads.Workload,
    run: pathlib.Path | None = None,
) -> Outcome:
    """Fills the disk for a command that writes its results to a folder, or into a run."""

    def prepare(target: pathlib.Path) -> pathlib.Path:
        return pathlib.Path(shutil.copytree(run, target)) if run else target

    expected = _undisturbed(workload, prepare(folder / "whole"))
    with namespace.disk(folder / "disk", MEGABYTES) as disk:
        target = prepare(disk / "target")
        filler = namespace.fill(disk, ROOM[what])
        done = commands.run(workload.command(target))
        left = sorted(path.name for path in target.glob("[!.]*")) if run is None else []
        filler.unlink()
        again = commands.run(workload.command(target))
        differing = [] if again.code else endings.differences(workload.ending(target), expected)
        return _judged(
            f"the disk is full at an {what}",
            workload.command(target)[0],
            done,
            again,
            [*differing, *(f"left behind: {name}" for name in left)],
            "nothing half-written",
            [disk],
        )


def read_only(folder: pathlib.Path) -> Iterator[Outcome]:
    """Makes the disk of a run read-only, then writable again."""
    training = workloads.training("sinusoid")
    expected = _undisturbed(training, folder / "whole")
    with namespace.disk(folder / "disk", MEGABYTES) as disk:
        run = disk / "run"
        commands.run([*training.command(run), HALF])
        for name, command in {
            "train": training.command(run),
            "evaluate": workloads.evaluation().command(run),
            "export": workloads.export(run).command(disk / "exports"),
        }.items():
            namespace.make_read_only(disk)
            done = commands.run(command)
            namespace.make_read_only(disk, False)
            again = commands.run(command)
            differing = []
            if name == "train" and not again.code:
                differing = endings.differences(training.ending(run), expected)
            compared = name == "train"
            yield _judged(
                "the run's disk is read-only", name, done, again, differing, "", [disk], compared
            )


def removed(folder: pathlib.Path) -> Iterator[Outcome]:
    """Removes the directory of a run while it is at work, and gives the same command again."""
    training = workloads.training("sinusoid", "--iterations=2000", "--checkpoint_interval=100")
    run = folder / "run"
    with commands.started(training.command(run)) as running:
        running.until(lambda: (run / "checkpoints" / "ckpt-100.index").exists())
        shutil.rmtree(run, ignore_errors=True)
        done = running.wait()
    left = sorted(path.name for path in run.rglob("*") if path.is_file())
    shorter = workloads.training("sinusoid")
    again = commands.run(shorter.command(run))
    differing = []
    if not again.code:
        expected = _undisturbed(shorter, folder / "whole")
        differing = endings.differences(shorter.ending(run), expected)
    yield _judged(
        "the run's directory is removed",
        "train, sinusoid",
        done,
        again,
        [*differing, *(f"left behind: {name}" for name in left if name != ".lock")],
        "another run can take its place",
        [folder],
    )


def _undisturbed(workload: workloads.Workload, target: pathlib.Path) -> endings.Ending:
    done = commands.run(workload.command(target))
    if done.code:
        raise RuntimeError(f"undisturbed, the command ended with {done.said[-1:]}")
    return workload.ending(target)


def _judged(
    fault: str,
    command: str,
    done: commands.Done,
    again: commands.Done,
    differing: list[str],
    kept: str,
    folders: list[pathlib.Path],
    compared: bool = True,
) -> Outcome:
    """Judges what is promised: one sentence, and then the same command ends as if undisturbed."""
    words = done.refused or f"no sentence: code {done.code}, {done.said[-1:]}"
    found = [f"“{words}”", *([kept] if kept else [])]
    if again.code:
        found.append(f"the same command then ended with {again.said[-1:]}")
    else:
        found.append(
            "the same command then came to its end" + ", bit for bit" * (compared and not differing)
        )
    found += differing[:3]
    good = done.refused is not None and not again.code and not differing
    return Outcome(fault, command, 1, int(good), without_folders("; ".join(found), folders))
