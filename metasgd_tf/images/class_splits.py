"""Splits classes into training, validation and test, by a seed or as a file says."""

import csv
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import flags

from metasgd_tf.output.atomic_file import replaced
from metasgd_tf.output.listing import counted, listed
from metasgd_tf.output.shown_names import shown
from trainers.errors import InputError
from trainers.seeds import SPLITS

VALIDATION_SHARE = 0.16
TEST_SHARE = 0.20
COLUMNS = ["class", "split"]
SHOWN = 80
"""How many characters of a wrong line an error message shows."""


def from_flags(
    settings: flags.FlagValues, names: Sequence[str], source: str
) -> dict[str, list[str]]:
    """Divides classes as --class_splits says, or by --split_seed where there is no such file.

    Args:
      settings: a run's flags.
      names: the names of the classes, in order.
      source: the flag that names the data, with its value, for error messages.

    Returns:
      The classes of each split, in the order of `names`.

    Raises:
      InputError: if the file cannot be used, or the classes are too few for three splits.
    """
    if not settings.class_splits:
        return drawn(names, settings.split_seed, settings.ways, source)
    return read(settings.class_splits, names, source)


def drawn(names: Sequence[str], split_seed: int, ways: int, source: str) -> dict[str, list[str]]:
    """Divides classes by a seed: 64 % for training, 16 % for validation, 20 % for the test.

    Validation and test have at least `ways` classes, whatever their shares are.

    Raises:
      InputError: if that leaves fewer than `ways` for training.
    """
    count = len(names)
    if count < len(SPLITS) * ways:
        raise InputError(
            f"ways={ways}: {source} has {counted(count, 'class', 'classes')}, too few for {ways} "
            "each in training, validation and test; ask for fewer ways, or add classes"
        )
    validation = max(round(VALIDATION_SHARE * count), ways)
    test = max(round(TEST_SHARE * count), ways)
    order = np.random.default_rng(split_seed).permutation(count)
    numbers = {
        "train": order[validation + test :],
        "validation": order[:validation],
        "test": order[validation : validation + test],
    }
    return {split: [names[number] for number in sorted(numbers[split])] for split in SPLITS}


def read(path: str, names: Sequence[str], source: str) -> dict[str, list[str]]:
    """Divides classes as a CSV with the header `class,split` says; classes not in it are left out.

    Raises:
      InputError: if the file cannot be read or has another format, or names a class that is not
        among `names`, or one twice.
    """
    split_of = split_of_each(path)
    # A file of UTF-8 names other folders as other tables do.
    called = {shown(name): name for name in names} | {name: name for name in names}
    unknown = sorted(split_of.keys() - called.keys())
    if unknown:
        raise InputError(
            f"class_splits={path}: names classes that {source} does not have: {listed(unknown)}; "
            "write them as they are called there"
        )
    chosen = {called[name]: split for name, split in split_of.items()}
    return {split: [name for name in names if chosen.get(name) == split] for split in SPLITS}


def write(path: pathlib.Path, classes: Mapping[str, Sequence[str]]) -> None:
    """Writes a file that `read` divides the same classes by.

    Args:
      path: the file.
      classes: those of each split.
    """
    with replaced(path) as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([shown(name), split] for split in classes for name in classes[split])


def split_of_each(path: str) -> dict[str, str]:
    """Returns the split of each class that a file names.

    Raises:
      InputError: if the file cannot be read or has another format, or names a class twice.
    """
    split_of: dict[str, str] = {}
    for line, row in _rows(path):
        if len(row) != len(COLUMNS) or row[1] not in SPLITS:
            raise InputError(
                f"class_splits={path}: line {line} is {','.join(row)[:SHOWN]!r}; after the header "
                f"each should be a class and one of {', '.join(SPLITS)}"
            )
        if row[0] in split_of:
            raise InputError(
                f"class_splits={path}: line {line} names {row[0]!r} a second time; leave one of "
                "them in"
            )
        split_of[row[0]] = row[1]
    return split_of


def _rows(path: str) -> list[tuple[int, list[str]]]:
    """Returns the rows after the header that are not empty, each with the number of its line."""
    try:
        # Spreadsheets write a byte order mark first.
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"class_splits={path}: cannot be read ({reason}); name a CSV with the header "
            f"{','.join(COLUMNS)}"
        ) from error
    if header != COLUMNS:
        raise InputError(
            f"class_splits={path}: begins with {','.join(header)[:SHOWN]!r}; its header should be "
            f"{','.join(COLUMNS)}"
        )
    return rows
