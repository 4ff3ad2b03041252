"""What happens beside a run: a second one, a reader of its curves, lost data, a clock set back."""

import itertools
import os
import pathlib
import shutil
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.faults import commands, endings, workloads
from benchmarks.faults.outcome import Outcome, without_folders

DAY = 86_400.0


def two_trainings(folder: pathlib.Path) -> Iterator[Outcome]:
    """Starts a second training in a directory while the first is at work."""
    training = workloads.training("sinusoid")
    expected = _ending_of(training, folder / "whole")
    run = folder / "run"
    with commands.started(training.command(run)) as first:
        first.until(lambda: (run / "flags.txt").exists())
        second = commands.run([*training.command(run), "--iterations=80"])
        done = first.wait()
    differing = done.said[-1:] if done.code else []
    differing = differing or endings.differences(training.ending(run), expected)
    words = second.refused or f"no sentence: {second.said[-1:]}"
    found = [f"“{words}”", "the first came to its end, bit for bit" * (not differing), *differing]
    yield Outcome(
        "a second training in the same directory",
        "train, sinusoid",
        1,
        int(second.refused is not None and not differing),
        without_folders("; ".join(filter(None, found[:4])), [folder]),
    )


def reader(folder: pathlib.Path) -> Iterator[Outcome]:
    """Reads the curves of a run with TensorBoard's reader again and again while it writes."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

    training = workloads.training("sinusoid")
    expected = _ending_of(training, folder / "whole")
    run = folder / "run"
    seen: list[int] = []
    with commands.started(training.command(run)) as running:
        running.until(lambda: list((run / "train").glob("events*")))
        readers = [EventAccumulator(str(run / split)) for split in ("train", "validation")]

        def read() -> bool:
            for one in readers:
                one.Reload()
            seen.append(sum(len(one.Tensors(tag)) for one in readers for tag in _tags(one)))
            return False

        running.until(read)
        done = running.wait()
        read()
    differing = done.said[-1:] if done.code else []
    differing = differing or endings.differences(training.ending(run), expected)
    shrank = [number for number, (a, b) in enumerate(itertools.pairwise(seen)) if b < a]
    found = f"read {len(seen)} times, up to {seen[-1]} points, never fewer than before"
    yield Outcome(
        "TensorBoard's reader at work",
        "train, sinusoid",
        1,
        int(not differing and not shrank and seen[-1] > 0),
        "; ".join([found, "the run came to its end, bit for bit" * (not differing), *differing]),
    )


def _tags(accumulator: object) -> list[str]:
    return accumulator.Tags()["tensors"]  # type: ignore[attr-defined]


def lost_data(folder: pathlib.Path) -> Iterator[Outcome]:
    """Removes the images of a run while it trains on them."""
    images = folder / "images"
    training = workloads.training(
        "sinusoid",
        "--task=image_folder",
        f"--image_dir={images}",
        "--image_size=16",
        "--ways=2",
        "--shots=1",
        "--queries=1",
        "--iterations=30",
    )
    _draw(images)
    expected = _ending_of(training, folder / "whole")
    run = folder / "run"
    with commands.started(training.command(run)) as running:
        running.until(lambda: list((run / "train").glob("events*")))
        shutil.rmtree(images)
        done = running.wait()
    differing = done.said[-1:] if done.code else []
    differing = differing or endings.differences(training.ending(run), expected)
    again = commands.run([*training.command(run), "--iterations=40"])
    _draw(images)
    back = commands.run([*training.command(run), "--iterations=40"])
    words = again.refused or f"no sentence: {again.said[-1:]}"
    found = [
        "the run came to its end, bit for bit: it holds its images" * (not differing),
        *differing,
        f"a later command: “{words}”; with the images back it "
        + (f"ended with {back.said[-1:]}" if back.code else "went on"),
    ]
    yield Outcome(
        "the images are removed in mid-run",
        "train, image_folder",
        1,
        int(not differing and again.refused is not None and not back.code),
        without_folders("; ".join(filter(None, found)), [folder]),
    )


def _draw(images: pathlib.Path) -> None:
    """Writes ten classes of six noisy images."""
    from PIL import Image

    noise = np.random.default_rng(0)
    for name in range(10):
        (images / f"class_{name}").mkdir(parents=True)
        for number in range(6):
            pixels = noise.integers(0, 256, (16, 16, 3), np.uint8)
            Image.fromarray(pixels).save(images / f"class_{name}" / f"{number}.png")


def tomorrow() -> None:
    """Sets the clock that Python's code sees, and it alone, to a day later."""
    today = time.time
    time.time = lambda: today() + DAY


def set_back_in_mid_run() -> None:
    """Sets the clock that Python's code sees back by a day, some calls after the start."""
    today, calls = time.time, iter(range(1 << 62))
    time.time = lambda: today() - DAY * (next(calls) > 20)


def clock_set_back(folder: pathlib.Path) -> Iterator[Outcome]:
    """Sets the clock back by a day, between two commands of a run and within one.

    It is the clock that Python's code sees. TensorFlow's own native code asks the system, so that
    what it names or stamps by the time is renamed and stamped afterwards.
    """
    training = workloads.training("sinusoid")
    expected = _ending_of(training, folder / "whole")
    run, within = folder / "run", folder / "within"
    first = commands.run([*training.command(run), "--iterations=30"], tomorrow)
    for path in [path for path in run.rglob("*") if path.is_file()]:
        if path.name.startswith("events."):
            path = path.rename(path.with_name(_a_day_later(path.name)))
        os.utime(path, (time.time() + DAY,) * 2)
    second = commands.run(training.command(run))
    third = commands.run(training.command(within), set_back_in_mid_run)
    for name, target, ended in (
        ("between two commands", run, [first, second]),
        ("within one", within, [third]),
    ):
        failed = [done.said[-1:] for done in ended if done.code]
        differing = failed or endings.differences(training.ending(target), expected)
        yield Outcome(
            f"the clock is set back by a day {name}",
            "train, sinusoid",
            1,
            int(not differing),
            f"{differing[:3]}" if differing else "the end bit for bit that of an undisturbed one",
        )


def _a_day_later(name: str) -> str:
    """Returns the name of an event file, `events.out.tfevents.SECONDS.HOST…`, of a day later."""
    events, out, kind, seconds, rest = name.split(".", 4)
    return f"{events}.{out}.{kind}.{int(seconds) + int(DAY)}.{rest}"


def _ending_of(workload: workloads.Workload, folder: pathlib.Path) -> endings.Ending:
    done = commands.run(workload.command(folder))
    if done.code:
        raise RuntimeError(f"undisturbed, the command ended with {done.said[-1:]}")
    return workload.ending(folder)
