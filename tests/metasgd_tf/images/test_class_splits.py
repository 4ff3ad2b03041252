"""How classes are divided into training, validation and test."""

import os

import pytest

from metasgd_tf.flags import run_flags
from metasgd_tf.images import class_splits
from trainers.errors import InputError


def drawn(count, ways=5, split_seed=0):
    names = [f"{number:03}" for number in range(count)]
    return names, class_splits.drawn(names, split_seed, ways, "image_dir=x")


@pytest.mark.parametrize(
    ("count", "ways", "sizes"),
    [
        (100, 5, (64, 16, 20)),
        (1000, 20, (640, 160, 200)),
        (37, 5, (24, 6, 7)),
        # Validation and then the test take more than their share.
        (30, 5, (19, 5, 6)),
        (20, 5, (10, 5, 5)),
        (15, 5, (5, 5, 5)),
        (3, 1, (1, 1, 1)),
    ],
)
def test_shares_are_64_16_and_20_percent_where_they_suffice(count, ways, sizes):
    names, splits = drawn(count, ways)
    assert tuple(len(splits[split]) for split in ("train", "validation", "test")) == sizes
    assert sorted(name for part in splits.values() for name in part) == names
    assert all(part == sorted(part) for part in splits.values())


def test_a_split_follows_its_seed():
    assert drawn(40)[1] == drawn(40)[1]
    for split in ("train", "validation", "test"):
        assert drawn(40)[1][split] != drawn(40, split_seed=1)[1][split]


def test_the_split_by_a_seed_stays_what_it_has_been():
    """What was trained on one split would otherwise be tested on its own classes."""
    names = [f"{number:02}" for number in range(15)]
    # NumPy's default_rng(0).permutation(15) is 2 11 3 10 0 | 4 7 5 14 12 | 6 9 13 8 1.
    assert class_splits.drawn(names, 0, 5, "x") == {
        "train": ["01", "06", "08", "09", "13"],
        "validation": ["00", "02", "03", "10", "11"],
        "test": ["04", "05", "07", "12", "14"],
    }


def test_every_class_comes_into_every_split():
    seen = {split: set() for split in ("train", "validation", "test")}
    for split_seed in range(100):
        for split, part in drawn(15, 5, split_seed)[1].items():
            seen[split] |= set(part)
    assert all(len(names) == 15 for names in seen.values())


@pytest.mark.parametrize(("count", "ways"), [(14, 5), (2, 1), (0, 1)])
def test_too_few_classes_for_three_splits_are_refused(count, ways):
    with pytest.raises(InputError, match=f"ways={ways}: image_dir=x has {count} classes, too few"):
        drawn(count, ways)


def test_one_class_is_refused_in_the_singular():
    with pytest.raises(InputError, match="ways=5: image_dir=x has 1 class, too few for 5 each"):
        drawn(1, 5)


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "splits.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def divided(path, names=("cat", "dog", "a, b", "emu")):
    settings = run_flags.parse([f"--class_splits={path}", "--ways=5"])
    return class_splits.from_flags(settings, names, "image_dir=x")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_says_which_class_is_where(tmp_path, encoding, end):
    lines = ["class,split", "emu,train", '"a, b",test', "", "cat,train", ""]
    path = written(tmp_path, end.join(lines), encoding)
    # In the order of the classes, not the file's; the dog is not used.
    assert divided(path) == {"train": ["cat", "emu"], "validation": [], "test": ["a, b"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with ''; its header should be class,split"),
        ("name,split\ncat,train\n", "begins with 'name,split'; its header should be class,split"),
        ("class,split\ncat,val\n", "line 2 is 'cat,val'; .*one of train, validation, test"),
        ("class,split\ncat,train\ndog\n", "line 3 is 'dog'; "),
        ("class,split\ncat,train,1\n", "line 2 is 'cat,train,1'; "),
        ("class,split\ncat,train\n\ncat,test\n", "line 4 names 'cat' a second time"),
        (
            "class,split\nCat,train\nfox,test\ncat,test\n",
            "names classes that image_dir=x does not have: Cat, fox;",
        ),
        ('class,split\n"cat,train\n', "cannot be read"),
        ("x" * 5000, f"begins with '{'x' * 80}';"),
    ],
)
def test_a_bad_file_is_refused(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=f"^class_splits={path}: {message}"):
        divided(path)


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "splits.csv"
    path.write_bytes(b"class,split\n\xff\xfe\x00,train\n")
    with pytest.raises(InputError, match=f"class_splits={path}: cannot be read .*class,split"):
        divided(str(path))
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(InputError, match=f"class_splits={path}: cannot be read .*irectory"):
            divided(str(path))


def test_without_a_file_the_flags_choose_the_draw():
    names = [f"{number:03}" for number in range(20)]
    settings = run_flags.parse(["--split_seed=3", "--ways=4"])
    found = class_splits.from_flags(settings, names, "image_dir=x")
    assert found == class_splits.drawn(names, 3, 4, "image_dir=x")


def test_a_file_names_classes_as_tables_show_them(tmp_path):
    names = ["a", os.fsdecode(b"d\xe9p"), "line\nbreak", "z"]
    path = tmp_path / "splits.csv"
    lines = ["class,split", r"d\xe9p,test", r"line\nbreak,train", "z,validation"]
    path.write_text("\n".join(lines), encoding="utf-8")
    expected = {"train": [names[2]], "validation": ["z"], "test": [names[1]]}
    assert class_splits.read(str(path), names, "image_dir=x") == expected
