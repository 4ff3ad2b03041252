"""Data sets of TensorFlow Datasets as families of tasks."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from metasgd_tf.flags import run_flags
from metasgd_tf.runs.training import train_run
from metasgd_tf.tasks import tfds_images
from tests import synthetic_tfds
from trainers.errors import InputError
from trainers.seeds import SPLITS, stream

TOTALS = {
    f"flag {letter}": sum(pair)
    for letter, *pair in zip("abcdefghi", *synthetic_tfds.COUNTS.values(), strict=True)
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    synthetic_tfds.StripedFlags(data_dir=str(path)).download_and_prepare()
    return path


def settings(data_dir, *arguments):
    return run_flags.parse(
        [
            "--task=tfds_images",
            "--dataset=striped_flags",
            f"--data_dir={data_dir}",
            "--ways=3",
            "--shots=1",
            "--queries=2",
            "--image_size=18",
            *arguments,
        ]
    )


def family(data_dir, *arguments, splits=SPLITS):
    return tfds_images.from_flags(settings(data_dir, *arguments), splits)


def test_the_classes_of_all_its_splits_are_divided_anew(data_dir):
    held = family(data_dir)._images
    assert {split: len(images.names) for split, images in held.items()} == dict.fromkeys(SPLITS, 3)
    counts = {}
    for images in held.values():
        assert list(images.names) == sorted(images.names)
        counts |= dict(zip(images.names, images.counts, strict=True))
    assert counts == TOTALS


def test_every_labelled_image_is_in_its_class(data_dir):
    examples = [
        example for split in synthetic_tfds.COUNTS for example in synthetic_tfds.examples(split)
    ]
    for images in family(data_dir)._images.values():
        start = 0
        for name, count in zip(images.names, images.counts, strict=True):
            label = "abcdefghi".index(name[-1])
            found = images.images[start : start + count].numpy().mean((1, 2))
            # Resizing keeps means. TFDS has an order of its own.
            made = np.array([pixels.mean((0, 1)) for of, pixels in examples if of == label])
            np.testing.assert_allclose(np.sort(found, 0), np.sort(made, 0), atol=2)
            start += count


def test_an_image_that_lies_in_two_splits_counts_once(tmp_path, monkeypatch, capsys):
    examples = synthetic_tfds.examples
    first = next(iter(synthetic_tfds.COUNTS))
    # The second split has all examples of the first one, besides its own.
    monkeypatch.setattr(
        synthetic_tfds,
        "examples",
        lambda split: [*examples(split), *([] if split == first else examples(first))],
    )
    synthetic_tfds.StripedFlags(data_dir=str(tmp_path)).download_and_prepare()
    counts = {}
    for images in family(tmp_path)._images.values():
        counts |= dict(zip(images.names, images.counts, strict=True))
    assert counts == TOTALS
    repeated = len(examples(first)) * (len(synthetic_tfds.COUNTS) - 1)
    said = f"note: dataset=striped_flags: left out {repeated} images that the class has already"
    assert said in capsys.readouterr().err


def test_small_batches_make_no_difference(data_dir, monkeypatch):
    whole = family(data_dir)
    monkeypatch.setattr(tfds_images, "BATCH", 7)
    parts = family(data_dir)
    for split in SPLITS:
        np.testing.assert_array_equal(whole._images[split].images, parts._images[split].images)


def test_flags_choose_size_channels_and_split(data_dir):
    made = family(data_dir, "--image_size=10", "--image_channels=1", "--split_seed=1")
    assert made.input_shape == (10, 10, 1) == made.model(0).input_shape[1:]
    assert made._images["test"].names != family(data_dir)._images["test"].names


def test_a_file_divides_the_classes(data_dir, tmp_path):
    path = tmp_path / "splits.csv"
    path.write_text("class,split\nflag c,test\nflag h,test\nflag b,test\nflag a,train\n")
    held = family(data_dir, f"--class_splits={path}", splits=("test",))._images
    assert held["test"].names == ("flag b", "flag c", "flag h")
    assert held["test"].counts == (5, 12, 10)


def test_the_same_data_give_the_same_tasks(data_dir):
    for split in SPLITS:
        one, other = (family(data_dir).episode(stream(4, split), split) for _ in range(2))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_data_that_were_prepared_elsewhere_are_read_by_their_files(data_dir, tmp_path):
    source = data_dir / "striped_flags" / "1.2.3"
    copy = tmp_path / "unknown_flags" / "1.2.3"
    copy.mkdir(parents=True)
    for path in source.iterdir():
        name = path.name.replace("striped_flags", "unknown_flags")
        data = path.read_bytes()
        if path.suffix == ".json":
            data = data.replace(b"striped_flags", b"unknown_flags")
        (copy / name).write_bytes(data)
    found = family(tmp_path, "--dataset=unknown_flags")
    np.testing.assert_array_equal(
        found._images["test"].images, family(data_dir)._images["test"].images
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--ways=4"], "ways=4: dataset=striped_flags has 9 classes, too few for 4 each"),
        (["--shots=3", "--queries=3"], r"shots=3 and queries=3: .*flag b \(5 images\)"),
        (["--class_splits=gone.csv"], "class_splits=gone.csv: cannot be read"),
        (["--dataset=striped_flag"], r"dataset=striped_flag: .*nothing of this name \(Dataset"),
        (["--dataset=striped flags"], r"dataset=striped flags: .*nothing of this name \(ValueE"),
        (["--dataset=mnist/no"], r"dataset=mnist/no: .*nothing of this name \(ValueError"),
        (["--dataset=kitti"], "dataset=kitti: has features image, image/file_name, objects, and"),
        (["--dataset=celeb_a"], "dataset=celeb_a: has features .*attributes.*`label`"),
        (["--dataset=imdb_reviews"], "dataset=imdb_reviews: has features .*text.*`image`"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_decoded_or_written(
    data_dir, tmp_path, monkeypatch, arguments, named
):
    monkeypatch.setattr("metasgd_tf.images.files.image_files.decode", lambda *_: 1 / 0)
    with pytest.raises(InputError, match=named):
        train_run(settings(data_dir, *arguments), str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_the_flag_that_is_missing_is_named():
    with pytest.raises(InputError, match="^dataset: --task=tfds_images needs it; .*cifar100"):
        tfds_images.from_flags(run_flags.parse(["--task=tfds_images"]), SPLITS)


def test_images_that_cannot_be_used_are_numbered(data_dir, monkeypatch):
    monkeypatch.setattr("metasgd_tf.images.files.image_files.MIN_SIDE", 19)
    with pytest.raises(InputError) as info:
        family(data_dir)
    message = str(info.value)
    assert message.startswith("dataset=striped_flags: images that cannot be used: number ")
    assert "(24 × 18 pixels, smaller than 19 × 19)" in message and "73 others" in message


def test_images_of_one_byte_a_channel_only_are_taken(data_dir, monkeypatch):
    builder = tfds.builder("striped_flags", data_dir=str(data_dir))
    floats = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(8, 8, 1), dtype=tf.float32),
            "label": tfds.features.ClassLabel(num_classes=9),
        }
    )
    monkeypatch.setattr(builder.info, "_features", floats)
    monkeypatch.setattr(tfds, "builder", lambda *_, **__: builder)
    with pytest.raises(InputError, match="has features image, label, and not an `image` of bytes"):
        family(data_dir)
