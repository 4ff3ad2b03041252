"""SIGKILL at random moments, each followed by the same command."""

import pathlib
import random
import shutil
from collections.abc import Callable, Iterator

from benchmarks.faults import commands, endings
from benchmarks.faults.outcome import Outcome
from benchmarks.faults.workloads import Workload

EARLIEST, LATEST = 0.1, 1.0
"""Where kills lie in the time that an undisturbed command takes."""

MOST = 3
"""How often one run is killed, at most, before it is let go to its end."""


def killed(
    name: str,
    workload: Workload,
    times: int,
    folder: pathlib.Path,
    *,
    seed: int,
    prepare: Callable[[pathlib.Path], object] = lambda folder: None,
) -> Iterator[Outcome]:
    """Kills a command at random moments, and gives it again after each, until it comes to its end.

    Args:
      name: what the command is called in the table.
      workload: the command and what it leaves.
      times: how many kills, over all runs.
      folder: where to work, a folder for each run.
      seed: what the moments are drawn by, as fractions of the time that it takes undisturbed.
      prepare: makes a folder ready for the command.

    Yields:
      After each run that came to its end, what has come of all of them so far.
    """
    chance = random.Random(seed)
    whole = folder / "whole"
    prepare(whole)
    undisturbed = commands.run(workload.command(whole))
    if undisturbed.code:
        yield Outcome("SIGKILL", name, 0, 0, f"undisturbed it ended with {undisturbed.said[-1:]}")
        return
    expected = workload.ending(whole)
    wrong: list[str] = []
    kills = saved = runs = lost = 0
    while kills < times:
        disturbed = folder / f"run_{runs}"
        prepare(disturbed)
        of_run = 0
        while True:
            last = of_run == min(MOST, times - kills + of_run)
            moment = None if last else chance.uniform(EARLIEST, LATEST) * undisturbed.seconds
            done = _killed_at(moment, workload.command(disturbed))
            if done is not None:
                break
            kills, of_run = kills + 1, of_run + 1
            saved += any(disturbed.rglob("ckpt-*.index"))
        differing = done.said[-1:] if done.code else _differences(workload, disturbed, expected)
        if of_run:  # Else it ended before the first moment: no kill, nothing to count.
            runs += 1
            lost += of_run * bool(differing)
            wrong += [f"run {runs}: {differing[0]}"] if differing else []
        shutil.rmtree(disturbed, ignore_errors=True)
        if of_run:
            found = (
                f"{runs} runs, each killed up to {MOST} times; {runs - len(wrong)} ended bit for "
                f"bit like an undisturbed one, {len(expected)} items compared"
            )
            if name.startswith("train"):
                found += f"; {saved} kills came after a checkpoint"
            yield Outcome("SIGKILL", name, kills, kills - lost, "; ".join([found, *wrong][:4]))


def _killed_at(moment: float | None, command: commands.Command) -> commands.Done | None:
    """Starts a command and kills it after so many seconds, if any.

    Returns:
      How it ended by itself; None if it was killed.
    """
    with commands.started(command) as running:
        running.process.join(moment)
        if moment is None or running.process.exitcode is not None:
            return running.wait()
        running.process.kill()
        running.process.join()
        return None


def _differences(workload: Workload, folder: pathlib.Path, expected: endings.Ending) -> list[str]:
    try:
        return endings.differences(workload.ending(folder), expected)
    except (OSError, ValueError) as error:
        return [f"{type(error).__name__}: {error}"]
