"""Learning curves: the values that a training wrote, whatever became of its files since."""

import numpy as np
import pytest
import tensorflow as tf

from metasgd_tf.figures import curves, style
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from tests.metasgd_tf.shell import SMALL, command
from trainers.errors import InputError


def write_events(model_dir, name, scores):
    """Writes an event file as a training does; `scores` are by tag and meta-iteration."""
    folder = model_dir / "validation"
    before = set(folder.glob("*")) if folder.exists() else set()
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        for step in sorted({step for values in scores.values() for step in values}):
            for tag, values in scores.items():
                if step in values:
                    tf.summary.scalar(tag, values[step], step)
            tf.summary.image("task", np.zeros([1, 4, 4, 3], np.uint8), step)
    writer.close()
    (path,) = set(folder.glob("*")) - before
    # Files count in the order of their names, in which a real one has the time in seconds.
    return path.rename(folder / f"events.out.tfevents.{name}.v2")


def make_run(model_dir, *arguments, metric="mse", after=None, before=None):
    """Writes a run's flags and one event file."""
    run_flags.write(run_flags.parse(arguments), str(model_dir))
    after = after or {10: 2.0, 20: 1.0, 30: 0.5}
    before = before or {step: value + 1 for step, value in after.items()}
    scores = {"loss/before": before, "loss/after": before}
    scores |= {f"{metric}/before": before, f"{metric}/after": after}
    write_events(model_dir, "1000000001", scores)
    return str(model_dir)


def drawn_points(drawn):
    """Returns the points of each line: before adaptation for each run, then after it."""
    (axes,) = drawn.axes
    return [dict(zip(*line.get_data(), strict=True)) for line in axes.get_lines()]


def test_curves_are_the_values_written(tmp_path):
    first = make_run(tmp_path / "a", after={100: 2.0, 200: 0.25}, before={100: 4.0, 200: 3.0})
    second = make_run(
        tmp_path / "b", "--algorithm=maml", after={50: 1.5, 200: 1.0}, before={50: 8.0, 200: 6.0}
    )
    drawn = curves.learning_curves([first, second])
    assert drawn_points(drawn) == [
        {100: 4.0, 200: 3.0},
        {50: 8.0, 200: 6.0},
        {100: 2.0, 200: 0.25},
        {50: 1.5, 200: 1.0},
    ]
    (axes,) = drawn.axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylabel() == "mean squared error on validation tasks"
    before, _, after, other = axes.get_lines()
    assert before.get_color() == after.get_color() != other.get_color()
    assert before.get_linewidth() < after.get_linewidth()
    assert after.get_linestyle() != other.get_linestyle()
    legend = [text.get_text() for text in drawn.legends[-1].get_texts()]
    assert legend == ["before adaptation", "after adaptation", "Meta-SGD, 1 step", "MAML, 1 step"]


@pytest.mark.slow
def test_a_training_writes_what_is_read(tmp_path):
    arguments = ["--algorithm=maml_first_order", "--iterations=2", "--checkpoint_interval=1"]
    train_run(run_flags.parse([*SMALL, *arguments]), str(tmp_path))
    read = curves.read(str(tmp_path))
    assert read.metric == "mse"
    assert [list(points) for points in read.points.values()] == [[1, 2], [1, 2]]
    assert read.points["before"] != read.points["after"]


def test_accuracy_is_in_percent(tmp_path):
    run = make_run(
        tmp_path, metric="accuracy", after={10: 0.5, 20: 0.75}, before={10: 0.25, 20: 0.125}
    )
    drawn = curves.learning_curves([run])
    assert drawn_points(drawn) == [{10: 25.0, 20: 12.5}, {10: 50.0, 20: 75.0}]
    assert drawn.axes[0].get_ylabel() == "accuracy on validation tasks (%)"


def positions(drawn, percentages):
    """Returns where percentages lie on the axis, as shares of its height."""
    (axes,) = drawn.axes
    to_axes = axes.transData + axes.transAxes.inverted()
    return [to_axes.transform((0, percent))[1] for percent in percentages]


def test_accuracies_near_100_percent_can_be_told_apart(tmp_path):
    run = make_run(
        tmp_path, metric="accuracy", after={10: 0.83, 20: 0.94, 30: 0.995}, before={10: 0.05}
    )
    drawn = curves.learning_curves([run])
    lower, upper, third, fourth = positions(drawn, [94, 95, 98, 99])
    # A linear axis would have 0.01 between either.
    assert upper - lower > 0.03 and fourth - third > 0.1
    ticks = drawn.axes[0].get_yticks()
    assert {80, 90, 95, 98, 99, 99.5} <= set(ticks)
    heights = positions(drawn, ticks)
    assert min(abs(np.diff(heights))) > 0.05 and 0 <= min(heights) < max(heights) <= 1


def test_an_accuracy_of_100_percent_is_drawn(tmp_path):
    run = make_run(tmp_path, metric="accuracy", after={10: 0.75, 20: 1.0}, before={10: 0.25})
    drawn = curves.learning_curves([run])
    assert drawn_points(drawn)[1] == {10: 75.0, 20: 100.0}
    assert positions(drawn, [100])[0] < 1
    assert 100 in drawn.axes[0].get_yticks()


def test_low_accuracies_have_an_axis_with_numbers(tmp_path):
    run = make_run(tmp_path, metric="accuracy", after={10: 0.3, 20: 0.5}, before={10: 0.2})
    assert set(curves.learning_curves([run]).axes[0].get_yticks()) == {20, 30, 40, 50}


def test_of_overlapping_files_the_later_one_counts(tmp_path):
    run = make_run(tmp_path, after={10: 1.0, 20: 2.0, 30: 3.0, 40: 4.0})
    write_events(
        tmp_path,
        "1000000002",
        {"mse/before": {30: 6.0, 50: 7.0}, "mse/after": {30: 3.5, 50: 5.0}},
    )
    assert curves.read(run).points == {
        "before": {10: 2.0, 20: 3.0, 30: 6.0, 40: 5.0, 50: 7.0},
        "after": {10: 1.0, 20: 2.0, 30: 3.5, 40: 4.0, 50: 5.0},
    }


@pytest.mark.parametrize("cut", [1, 30, "half"])
def test_of_a_file_that_was_cut_off_the_rest_counts_and_so_do_later_files(tmp_path, cut):
    run = make_run(tmp_path, after={step: 1.0 + step for step in range(10, 110, 10)})
    (path,) = (tmp_path / "validation").iterdir()
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2] if cut == "half" else content[:-cut])
    early = curves.read(run).points["after"]
    # At the end there is an image: of the scores themselves, half a file loses about half.
    assert len(early) == 10 or (cut == "half" and 4 <= len(early) <= 6)
    assert early == {step: 1.0 + step for step in list(range(10, 110, 10))[: len(early)]}
    write_events(tmp_path, "1000000002", {"mse/before": {110: 9.0}, "mse/after": {110: 0.5}})
    assert curves.read(run).points["after"] == {**early, 110: 0.5}


def test_a_file_that_is_damaged_within_counts_as_far_as_it_is_whole(tmp_path):
    run = make_run(tmp_path, after={step: 1.0 + step for step in range(10, 110, 10)})
    (path,) = (tmp_path / "validation").iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    points = curves.read(run).points["after"]
    assert 4 <= len(points) <= 6
    assert points == {step: 1.0 + step for step in points}


def test_a_run_with_one_checkpoint_shows_a_point(tmp_path):
    drawn = curves.learning_curves([make_run(tmp_path, after={10: 1.0})])
    assert [line.get_marker() for line in drawn.axes[0].get_lines()] == ["o", "o"]


def test_runs_of_different_metrics_are_refused(tmp_path):
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", metric="accuracy")
    with pytest.raises(InputError, match=f"{second}: is scored by accuracy and {first} by mse"):
        curves.learning_curves([first, second])


def test_runs_without_curves_are_refused(tmp_path):
    run_flags.write(run_flags.parse([]), str(tmp_path))
    with pytest.raises(InputError, match=f"model_dirs={tmp_path}: holds no learning curves"):
        curves.learning_curves([str(tmp_path)])
    (tmp_path / "validation").mkdir()
    with pytest.raises(InputError, match="holds no learning curves"):
        curves.learning_curves([str(tmp_path)])
    write_events(tmp_path, "1000000001", {"loss/after": {10: 1.0}})
    with pytest.raises(InputError, match="holds no learning curves"):
        curves.learning_curves([str(tmp_path)])


def test_of_the_loss_there_are_curves_where_it_is_the_only_score(tmp_path):
    scores = {f"loss/{moment}": {10: 1.0} for moment in ("before", "after")}
    write_events(tmp_path / "one", "1000000001", scores)
    assert curves.read(str(tmp_path / "one")).metric == "loss"
    scores |= {name.replace("loss", "mse"): {10: 2.0} for name in scores}
    write_events(tmp_path / "two", "1000000001", scores)
    assert curves.read(str(tmp_path / "two")).metric == "mse"


def test_the_same_runs_give_the_same_file_whatever_their_directory_is_called(tmp_path):
    runs = [make_run(tmp_path / "$a$_b"), make_run(tmp_path / "$c$_d")]
    for name in ("1.png", "2.png"):
        style.save(curves.learning_curves(runs), str(tmp_path / name))
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()


def test_the_command_writes_the_figure(tmp_path):
    run, output = make_run(tmp_path / "run"), tmp_path / "new" / "curves.svg"
    done = command("plot", "--figure=curves", f"--model_dirs={run}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"written to {output}\n"
    assert "svg" in output.read_text(encoding="utf-8")
