"""The tab Draw answers as the export that ships does, from strokes as the page sends them."""

import io

import numpy as np
import pytest

from metasgd_tf.clients import drawings
from metasgd_tf.tasks.omniglot import Omniglot
from metasgd_tf.webpage import draw
from metasgd_tf.webpage.reading import RequestError
from tests.metasgd_tf.shell import ROOT
from tests.serving_exports import Loaded
from trainers.errors import InputError

EXPORT = ROOT / "exports" / "omniglot_5way1shot"


@pytest.fixture(scope="module")
def tab():
    return draw.DrawTab(str(EXPORT))


@pytest.fixture(scope="module")
def export():
    return Loaded(EXPORT / "1")


def drawn(symbol, seed):
    """Returns a drawing as the page would send it."""
    return [np.clip(stroke, 0, 1).round(4).tolist() for stroke in drawings.strokes(symbol, seed)]


def pixels(drawing):
    """Returns a drawing [28, 28, 1] as a file of it would be given to an Omniglot run."""
    file = io.BytesIO()
    drawings.inked([np.array(stroke) for stroke in drawing], draw.PEN).save(file, "PNG")
    family = Omniglot({}, 5, 1, 1, input_shape=(28, 28, 1))
    return family.decode(file.getvalue()).numpy() / np.float32(255)


def test_answers_are_the_exports(tab, export):
    """Classes may have several drawings, or none, and an empty canvas is no drawing."""
    classes = [[drawn("house", 1), drawn("house", 2)], [], [drawn("snail", 1), []], [[]]]
    query = drawn("snail", 5)
    given = tab.answer({"classes": classes, "query": query})
    support = [pixels(one) for of_class in classes for one in of_class if one]
    asked = {
        "support_inputs": np.stack(support)[np.newaxis],
        "support_targets": np.array([[0, 0, 2]], np.int32),
        "query_inputs": np.stack([pixels(query), *support])[np.newaxis],
    }
    adapted = export("serving_default", **asked)["probabilities"][0, 0]
    no_steps = np.array(0, np.int32)
    before = export("serving_default_steps", **asked, inner_steps=no_steps)["probabilities"][0, 0]
    np.testing.assert_allclose(given["adapted"], adapted[:4], atol=2e-5)
    np.testing.assert_allclose(given["unadapted"], before[:4], atol=2e-5)
    assert given["adapted"][1] == given["adapted"][3] == 0
    assert np.abs(adapted - before).max() > 0.1
    np.testing.assert_allclose(given["seen"], 255 * pixels(query)[..., 0], atol=0.51)


def test_examples_are_told_apart_after_adaptation_alone(tab):
    adapted, unadapted = [], []
    for seed in range(4):
        made = tab.examples({"seed": seed})
        assert made["names"] == sorted(drawings.SYMBOLS)
        for number, name in enumerate(made["names"]):
            asked = {"classes": made["classes"], "query": drawn(name, 1000 + seed)}
            given = tab.answer(asked)
            adapted.append(np.eye(5)[number] @ given["adapted"])
            unadapted.append(np.eye(5)[number] @ given["unadapted"])
    assert min(adapted) > 0.9
    assert np.mean(unadapted) == pytest.approx(0.2, abs=0.1)


def test_the_example_to_classify_is_of_the_class_it_names(tab):
    names = set()
    for seed in range(12):
        made = tab.examples({"seed": seed})
        names.add(made["query_name"])
        given = tab.answer({"classes": made["classes"], "query": made["query"]})
        assert made["names"][int(np.argmax(given["adapted"]))] == made["query_name"]
    assert len(names) > 2


def test_a_support_set_is_adapted_to_once(tab):
    classes = [[drawn("arrow", 50)], [drawn("ladder", 50)]]
    before = tab._states.cache_info().misses
    strokes = drawn("ladder", 51)
    for count in range(1, len(strokes) + 1):
        given = tab.answer({"classes": classes, "query": strokes[:count]})
        assert sum(given["adapted"]) == pytest.approx(1, abs=1e-3)
    assert tab._states.cache_info().misses == before + 1


def test_a_stroke_is_as_wide_as_those_of_omniglot():
    image = draw.image((((0.2, 0.5), (0.8, 0.5)),))[..., 0]
    assert image.shape == (28, 28) and image.dtype == np.float32
    columns = image.sum(0)
    np.testing.assert_allclose(columns[8:20], draw.PEN * 28 / 105, atol=0.15)
    assert not columns[:4].any() and not columns[-4:].any()


def test_a_dot_is_a_drawing():
    image = draw.image((((0.25, 0.75),),))[..., 0]
    area = np.pi / 4 * (draw.PEN * 28 / 105) ** 2
    assert image.sum() == pytest.approx(area, rel=0.25)
    rows, columns = np.nonzero(image)
    assert abs(rows.mean() - 20.5) < 1 and abs(columns.mean() - 6.5) < 1


@pytest.mark.parametrize(
    ("classes", "query", "sentence"),
    [
        ([], [], draw.NOTHING_DRAWN),
        ([[[]], [[[]]]], drawn("snail", 0), draw.NOTHING_DRAWN),
        ([[[]], [drawn("snail", 0)]], drawn("snail", 0), draw.ONE_CLASS),
        ([[drawn("house", 0)], [drawn("snail", 0)]], [[]], draw.NO_QUERY),
    ],
    ids=["nothing", "blank canvases", "one class", "no query"],
)
def test_what_is_missing_is_said(tab, classes, query, sentence):
    assert tab.answer({"classes": classes, "query": query}) == {"sentence": sentence}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"query": []}, "a field 'classes'"),
        ({"classes": []}, "a field 'query'"),
        ({"classes": [[]] * 6, "query": []}, "classes: should be a list of at most 5"),
        ({"classes": [[[]] * 21], "query": []}, r"classes\[0\]: should be a list of at most 20"),
        ({"classes": [[[[[2, 0]]]]], "query": []}, r"classes\[0\]\[0\]\[0\]\[0\]\[0\]: should be"),
    ],
)
def test_requests_of_another_form_are_refused(tab, asked, message):
    with pytest.raises(RequestError, match=message):
        tab.answer(asked)


def test_exports_of_other_tasks_are_refused(exports, tmp_path):
    with pytest.raises(
        InputError, match="is of a run of sinusoid; name an export of a run of omni"
    ):
        draw.DrawTab(str(exports("sinusoid")[1].parent))
    with pytest.raises(InputError, match=f"export_dir={tmp_path}: holds no export"):
        draw.DrawTab(str(tmp_path))
