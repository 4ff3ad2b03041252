"""What is drawn of a task, read back from the drawing and from its pixels."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from metasgd_tf.drawing.episodes import VERMILLION, classification, fit, rasterised
from metasgd_tf.tasks.image_folder import ImageFolder
from metasgd_tf.tasks.omniglot import Omniglot
from trainers.episodes import Episode

QUERIES = np.linspace(-5, 5, 50)[:, np.newaxis]


def regression(points=5):
    inputs = np.random.default_rng(0).uniform(-5, 5, [points, 1])
    return Episode(inputs, np.sin(inputs), QUERIES, np.sin(QUERIES))


def images_of(classes, count, channels):
    """Images that differ, in an order that is not by class, and their classes."""
    rng = np.random.default_rng(count)
    targets = rng.permutation(np.repeat(np.arange(classes), count)).astype(np.int32)
    return rng.uniform(size=[len(targets), 7, 6, channels]).astype(np.float32), targets


def task(ways, shots, queries, channels=1):
    return Episode(*images_of(ways, shots, channels), *images_of(ways, queries, channels))


def logits(classes, ways):
    return np.eye(ways, dtype=np.float32)[classes]


def drawn_right(ways, shots, queries, channels=1):
    """A task that is answered rightly after adaptation, and by class 0 before."""
    made = task(ways, shots, queries, channels)
    after = logits(made.query_targets, ways)
    return made, classification(made, logits(0 * made.query_targets, ways), after)


def texts(drawn):
    return [text.get_text() for text in drawn.axes[0].texts]


def answers(drawn):
    """What is said of the queries, row by row, and the colour it is written in."""
    return [
        (text.get_text(), text.get_color())
        for text in drawn.axes[0].texts
        if text.get_text()[0].isdigit() and "→" in text.get_text()
    ]


def frames(drawn):
    return [patch for patch in drawn.axes[0].patches if isinstance(patch, Rectangle)]


def test_a_fit_has_the_curve_the_fits_and_the_support_points():
    episode = regression()
    drawn = fit(episode, 0 * QUERIES, 0.5 * QUERIES)
    (axes,) = drawn.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    expected = {
        "truth": (QUERIES, np.sin(QUERIES)),
        "before": (QUERIES, 0 * QUERIES),
        "after": (QUERIES, 0.5 * QUERIES),
        "support set": (episode.support_inputs, np.sin(episode.support_inputs)),
    }
    assert list(lines) == list(expected)
    for name, points in expected.items():
        np.testing.assert_array_equal(lines[name].get_xydata(), np.hstack(points))
    (legend,) = drawn.legends
    assert [text.get_text() for text in legend.get_texts()] == list(expected)


def test_lines_of_a_fit_differ_by_more_than_colour():
    lines = fit(regression(), 0 * QUERIES, QUERIES).axes[0].get_lines()
    looks = {(line.get_linestyle(), line.get_marker(), line.get_linewidth()) for line in lines}
    assert len(looks) == 4


def test_the_legend_of_a_fit_covers_no_curve():
    drawn = fit(regression(), 0 * QUERIES, QUERIES)
    rasterised(drawn)
    (legend,) = drawn.legends
    assert not legend.get_window_extent().overlaps(drawn.axes[0].get_window_extent())


def test_wrong_answers_have_a_cross_a_frame_and_a_colour():
    made = task(ways=5, shots=1, queries=2)
    said = made.query_targets.copy()
    wrong = np.flatnonzero(said == 2)[1]  # Which stands last in the third row.
    said[wrong] = 4
    drawn = classification(made, logits((made.query_targets + 3) % 5, 5), logits(said, 5))
    assert answers(drawn) == [
        ("3 → 0", "black"),
        ("3 → 0", "black"),
        ("4 → 1", "black"),
        ("4 → 1", "black"),
        ("0 → 2", "black"),
        ("0 → 4 ✗", VERMILLION),
        ("1 → 3", "black"),
        ("1 → 3", "black"),
        ("2 → 4", "black"),
        ("2 → 4", "black"),
    ]
    (frame,) = frames(drawn)
    left, right, bottom, top = drawn.axes[0].images[3 * 3 - 1].get_extent()
    assert frame.get_bbox().extents == pytest.approx((left, top, right, bottom))


def test_a_wrong_answer_before_adaptation_alone_is_not_marked():
    _, drawn = drawn_right(ways=3, shots=1, queries=1)
    assert [text for text, _ in answers(drawn)] == ["0 → 0", "0 → 1", "0 → 2"]
    assert frames(drawn) == []


@pytest.mark.parametrize("channels", [1, 3])
def test_each_row_shows_the_images_of_its_class(channels):
    made, drawn = drawn_right(ways=4, shots=2, queries=3, channels=channels)
    shown = drawn.axes[0].images
    assert len(shown) == 4 * (2 + 3)
    tops = [image.get_extent()[3] for image in shown]
    assert tops == sorted(tops) and len(set(tops)) == 4
    for row in range(4):
        expected = np.concatenate(
            [
                made.support_inputs[made.support_targets == row],
                made.query_inputs[made.query_targets == row],
            ]
        )
        if channels == 1:
            expected = np.repeat(expected, 3, axis=-1)
        pixels = [np.asarray(image.get_array()) for image in shown[5 * row : 5 * row + 5]]
        np.testing.assert_allclose(pixels, expected, atol=1e-6)
        lefts = [image.get_extent()[0] for image in shown[5 * row : 5 * row + 5]]
        assert lefts == sorted(lefts) and np.diff(lefts).min() > 0.9  # None covers another.


def test_a_drawings_ink_is_dark():
    made, _ = drawn_right(ways=2, shots=1, queries=1, channels=1)
    logits = np.eye(2)[made.query_targets]
    drawn = classification(made, logits, logits, ink_is_one=True)
    (first, *_) = drawn.axes[0].images
    image = made.support_inputs[made.support_targets == 0][0]
    np.testing.assert_allclose(first.get_array(), np.repeat(1 - image, 3, axis=-1), atol=1e-6)
    assert Omniglot.ink_is_one and not ImageFolder.ink_is_one


def test_at_most_ten_classes_and_five_images_of_a_kind_are_shown():
    _, drawn = drawn_right(ways=12, shots=6, queries=8)
    assert len(drawn.axes[0].images) == 10 * (5 + 5)
    assert [text for text, _ in answers(drawn)] == [f"0 → {n}" for n in range(10) for _ in range(5)]
    assert [text for text in texts(drawn) if text.startswith("class ")] == [
        f"class {n}" for n in range(10)
    ]
    assert texts(drawn)[-1] == "10 of 12 classes"
    assert "10 of 10 classes" not in texts(drawn_right(ways=10, shots=1, queries=1)[1])


@pytest.mark.parametrize("sizes", [(1, 1, 1), (2, 1, 1), (5, 1, 15), (5, 5, 15), (20, 1, 5)])
def test_no_text_overlaps_another_or_is_cut(sizes):
    made = task(*sizes)
    ways = sizes[0]
    wrong = logits((made.query_targets - 1) % ways, ways)
    drawn = classification(made, wrong, wrong)
    rasterised(drawn)
    boxes = [text.get_window_extent() for text in drawn.axes[0].texts]
    assert len(boxes) > 3
    for number, box in enumerate(boxes):
        assert drawn.bbox.containsx(box.x0) and drawn.bbox.containsx(box.x1)
        assert drawn.bbox.containsy(box.y0) and drawn.bbox.containsy(box.y1)
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
    for image in drawn.axes[0].images:
        assert not any(image.get_window_extent().overlaps(box) for box in boxes)


def test_a_drawing_becomes_a_image_of_its_size():
    drawings = [drawn_right(ways=2, shots=1, queries=4)[1] for _ in range(2)]
    found, again = (rasterised(drawn) for drawn in drawings)
    width, height = drawings[0].get_size_inches() * 100
    assert found.shape == (int(height), int(width), 3) and found.dtype == np.uint8
    np.testing.assert_array_equal(found, again)


def test_colours_arrive_in_the_pixels():
    red = np.zeros([1, 4, 4, 3], np.float32)
    red[..., 0] = 1
    ink = np.ones([1, 4, 4, 1], np.float32)
    target = np.zeros(1, np.int32)
    for image, colour, ink_is_one in (
        (red, (255, 0, 0), False),
        (ink, (0, 0, 0), True),
        (ink, (255, 255, 255), False),
    ):
        made = Episode(image, target, image, target)
        answers = logits(target, 1)
        drawn = classification(made, answers, answers, ink_is_one=ink_is_one)
        pixels = rasterised(drawn)
        for shown in drawn.axes[0].images:
            box = shown.get_window_extent()
            row, column = len(pixels) - int((box.y0 + box.y1) / 2), int((box.x0 + box.x1) / 2)
            assert tuple(pixels[row, column]) == colour
