"""The commands `export` and `classify`, and what becomes of folders of images."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from metasgd_tf.clients import classifying, drawings
from metasgd_tf.evaluation.trained_runs import load_run
from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from tests import synthetic_folder
from tests.metasgd_tf.shell import ROOT, SMALL, assert_refused, command
from tests.serving_exports import Loaded
from trainers.errors import InputError


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    done = command("classify", f"--write_examples={folder}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"written to {folder}/support and {folder}/query\n"
    return folder


def arguments(export_dir, folder):
    return [
        f"--export_dir={export_dir}",
        f"--support_dir={folder / 'support'}",
        f"--query_dir={folder / 'query'}",
    ]


def classified(export_dir, folder, **options):
    support = classifying.find_support(str(folder / "support"))
    queries = classifying.find_queries(str(folder / "query"))
    return classifying.classify(str(export_dir), support, queries, **options)


@pytest.mark.slow
def test_a_run_is_exported_as_often_as_asked(tmp_path):
    run, out = tmp_path / "run", tmp_path / "out"
    short = ["--model=tests.fast_network:of_numbers", "--iterations=4", "--checkpoint_interval=2"]
    train_run(run_flags.parse([*SMALL, *short]), str(run))
    for number, checkpoint in ((1, "last"), (2, "best")):
        done = command(
            "export", f"--model_dir={run}", f"--export_dir={out}", f"--checkpoint={checkpoint}"
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == f"written to {out / str(number)}\n"
        learner = load_run(str(run), checkpoint).learner
        x = np.linspace(-3, 3, 8, dtype=np.float32).reshape(1, 8, 1)
        given = Loaded(out / str(number))(
            "serving_default", support_inputs=x, support_targets=x, query_inputs=x
        )
        fast = learner.adapt(tf.constant(x[0]), tf.constant(x[0]))
        expected = learner.predict(fast, tf.constant(x[0]))
        np.testing.assert_allclose(given["predictions"][0], expected, rtol=0, atol=1e-5)
        facts = classifying.facts(str(out))
        assert (facts["checkpoint"], facts["task"]) == (checkpoint, "sinusoid")
    assert sorted(path.name for path in out.iterdir()) == ["1", "2"]


@pytest.mark.slow
def test_a_run_is_exported_where_its_data_is_not(tmp_path):
    run = ROOT / "trained" / "omniglot_5way1shot_meta_sgd"
    done = command(
        "export",
        f"--model_dir={run}",
        f"--export_dir={tmp_path / 'out'}",
        "--checkpoint=best",
        TFDS_DATA_DIR=str(tmp_path / "nowhere"),
    )
    assert done.returncode == 0, done.stderr
    rng = np.random.default_rng(0)
    asked = {
        "support_inputs": rng.random((1, 5, 28, 28, 1), np.float32),
        "support_targets": np.arange(5, dtype=np.int32)[np.newaxis],
        "query_inputs": rng.random((1, 3, 28, 28, 1), np.float32),
    }
    given = Loaded(tmp_path / "out" / "1")("serving_default", **asked)
    assert given["probabilities"].shape == (1, 3, 5)
    np.testing.assert_allclose(given["probabilities"].sum(-1), 1, atol=1e-5)


def test_folders_become_a_table_files_and_a_contact_sheet(exports, examples, tmp_path):
    export_dir = exports("transductive")[1].parent
    table, sheet = tmp_path / "table.csv", tmp_path / "sheet.png"
    done = command(
        "classify",
        *arguments(export_dir, examples),
        f"--output={table}",
        f"--contact_sheet={sheet}",
    )
    assert done.returncode == 0, done.stderr
    head, *lines = done.stdout.splitlines()
    assert head.split() == ["name", "class", "probability"]
    predictions = classified(export_dir, examples)
    assert len(predictions) == 15
    for line, one in zip(lines, predictions, strict=False):
        assert line.split() == [one.path.name, one.name, f"{one.probability:.4f}"]
    assert "normalised together" in done.stdout
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == sorted(
        path.name for path in (examples / "query").iterdir()
    )
    assert all(
        row["class"] in drawings.SYMBOLS and 0.2 <= float(row["probability"]) <= 1 for row in rows
    )
    with Image.open(sheet) as image:
        assert image.format == "PNG" and min(image.size) > 500
        assert np.asarray(image.convert("L")).std() > 5


def test_predictions_are_the_exports(exports, served, examples):
    _, version = exports("transductive")
    names = sorted(drawings.SYMBOLS)
    queries = sorted((examples / "query").iterdir())
    given = served(Loaded, "transductive")(
        "classify_images",
        support_inputs=np.array(
            [[(examples / "support" / name / "0.png").read_bytes() for name in names]], object
        ),
        support_targets=np.arange(5, dtype=np.int32)[np.newaxis],
        query_inputs=np.array([[path.read_bytes() for path in queries]], object),
    )
    predictions = classified(version.parent, examples)
    for one, path, row in zip(predictions, queries, given["probabilities"][0], strict=True):
        assert one.path == path and one.name == names[row.argmax()]
        np.testing.assert_allclose(list(one.probabilities.values()), row, atol=1e-6)
        assert list(one.probabilities) == names and one.probability == max(row)


def test_json_has_the_probability_of_every_class(exports, examples, tmp_path):
    version = exports("support")[1]
    predictions = classified(version.parent, examples, inner_steps=4)
    other = classified(version.parent, examples)
    assert any(
        one.probability != two.probability for one, two in zip(predictions, other, strict=True)
    )
    file = tmp_path / "table.json"
    classifying.write(predictions, str(file), {"ways": 5})
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["export"] == {"ways": 5}
    for row, one in zip(written["results"], predictions, strict=True):
        assert (row["name"], row["class"]) == (one.path.name, one.name)
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert max(row["probabilities"], key=row["probabilities"].get) == row["class"]


def test_fewer_classes_and_uneven_shots_are_fine(exports, examples, tmp_path):
    support = tmp_path / "support"
    for symbol in ("house", "snail"):
        shutil.copytree(examples / "support" / symbol, support / symbol)
    shutil.copy(examples / "query" / "house_1.png", support / "house" / "1.png")
    (support / "house" / ".DS_Store").write_text("left by a system", encoding="utf-8")
    shutil.copytree(examples / "query", tmp_path / "query")
    predictions = classified(exports("transductive")[1].parent, tmp_path)
    assert {one.name for one in predictions} <= {"house", "snail"}
    assert all(list(one.probabilities) == ["house", "snail"] for one in predictions)
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in predictions)


@pytest.mark.slow
def test_a_run_of_ones_own_folder_is_exported_and_classifies(tmp_path):
    images = tmp_path / "images"
    synthetic_folder.write(images, {f"class {n}": 8 for n in range(12)})
    sizes = ["--image_size=16", "--ways=2", "--shots=2", "--queries=2", "--meta_batch_size=4"]
    task = ["--task=image_folder", f"--image_dir={images}", "--batch_norm=support"]
    quick = ["--model=tests.fast_network:network", "--iterations=120", "--checkpoint_interval=60"]
    flags = run_flags.parse([*task, *sizes, *SMALL, *quick])
    train_run(flags, str(tmp_path / "run"))
    done = command("export", f"--model_dir={tmp_path / 'run'}", f"--export_dir={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    for name in ("class 3", "class 7"):
        (tmp_path / "support" / name).mkdir(parents=True)
        (tmp_path / "query").mkdir(exist_ok=True)
        for number in range(8):
            file = images / name / f"{number}.png"
            if number < 2:
                shutil.copy(file, tmp_path / "support" / name)
            else:
                shutil.copy(file, tmp_path / "query" / f"{name}_{number}.png")
    predictions = classified(tmp_path / "out", tmp_path)
    assert len(predictions) == 12
    right = [one.path.name.startswith(one.name) for one in predictions]
    assert np.mean(right) > 0.75


def test_bad_files_are_named_all_at_once(exports, examples, tmp_path):
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    (tmp_path / "query" / "words.webp").write_text("no image", encoding="utf-8")
    Image.new("F", (30, 20)).save(tmp_path / "support" / "house" / "0.tif")
    cut = (examples / "query" / "house_1.png").read_bytes()[:200]
    (tmp_path / "query" / "cut.png").write_bytes(cut)
    (tmp_path / "query" / "gone.png").symlink_to(tmp_path / "nowhere")
    done = command("classify", *arguments(exports("transductive")[1].parent, tmp_path))
    sentence = assert_refused(done)
    for name in (
        "words.webp (no PNG, JPEG, BMP, GIF, WebP or TIFF that can be read)",
        "0.tif (a TIFF of floating-point",
        "cut.png (damaged)",
        "gone.png (cannot be read: No such file or directory)",
    ):
        assert name in sentence
    assert "house_1.png" not in sentence


def change(folder, what):
    if what == "no queries":
        shutil.rmtree(folder / "query")
    elif what == "empty queries":
        for path in (folder / "query").iterdir():
            path.unlink()
    elif what == "folder in queries":
        (folder / "query" / "more").mkdir()
    elif what == "class too many":
        shutil.copytree(folder / "support" / "house", folder / "support" / "hut")
    elif what == "empty class":
        (folder / "support" / "hut").mkdir()
    elif what == "no classes":
        shutil.rmtree(folder / "support")
        (folder / "support").mkdir()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no queries", "query_dir=.*cannot be read"),
        ("empty queries", "query_dir=.*has no images"),
        ("folder in queries", r"query_dir=.*has folders in it \(more\)"),
        ("class too many", "support_dir: holds 6 classes, and this export tells up to 5"),
        ("empty class", "support_dir=.*hut has no images"),
        ("no classes", "support_dir=.*has no sub-folders"),
    ],
)
def test_folders_of_another_form_are_refused(exports, examples, tmp_path, what, message):
    shutil.copytree(examples, tmp_path, dirs_exist_ok=True)
    change(tmp_path, what)
    with pytest.raises(InputError, match=message):
        classified(exports("transductive")[1].parent, tmp_path)


def test_exports_that_do_not_serve_are_refused(exports, examples, tmp_path):
    with pytest.raises(InputError, match="does not classify images"):
        classified(exports("sinusoid")[1].parent, examples)
    version = exports("transductive")[1]
    with pytest.raises(InputError, match="holds no export"):
        classified(version, examples)
    shutil.copytree(version, tmp_path / "1")
    (tmp_path / "1" / "variables" / "variables.data-00000-of-00001").write_bytes(b"cut")
    with pytest.raises(InputError, match="cannot be loaded"):
        classified(tmp_path, examples)
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"\x00broken")
    with pytest.raises(InputError, match="cannot be loaded"):
        classified(tmp_path, examples)


@pytest.mark.parametrize(
    ("name", "given", "named"),
    [
        ("export", [], "model_dir"),
        ("export", ["--model_dir=x"], "export_dir"),
        ("export", ["--model_dir=x", "--export_dir="], "export_dir"),
        ("export", ["--model_dir=x", "--export_dir=y", "--checkpoint=first"], "checkpoint=first"),
        ("export", ["--model_dir=x", "--export_dir=y"], "model_dir=x: holds no run"),
        ("classify", [], "export_dir.*support_dir.*query_dir.*write_examples"),
        ("classify", ["--export_dir=x", "--support_dir=y"], "query_dir"),
        ("classify", ["--write_examples=x", "--export_dir=y"], "write_examples alone"),
        ("classify", ["--export_dir=x", "--inner_steps=-1"], "inner_steps=-1"),
        (
            "classify",
            ["--export_dir=x", "--support_dir=y", "--query_dir=z", "--output=a.xls"],
            r"output=a.xls: should end in .csv or .json",
        ),
        (
            "classify",
            ["--export_dir=x", "--support_dir=y", "--query_dir=z", "--contact_sheet=a.doc"],
            r"contact_sheet=a.doc: should end in .png",
        ),
        (
            "classify",
            ["--export_dir=x", "--support_dir=y", "--query_dir=z"],
            "support_dir=y: y cannot be read",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_flags_are_refused_in_one_sentence(tmp_path, monkeypatch, name, given, named):
    monkeypatch.chdir(tmp_path)
    done = command(name, *given)
    assert re.search(named, assert_refused(done))
    assert not list(tmp_path.iterdir())
