"""Names of files that cannot be written as they are."""

import io
import os

import pytest

from metasgd_tf.output.listing import listed
from metasgd_tf.output.notes import note
from metasgd_tf.output.shown_names import UNWRITABLE, one_line, shown
from metasgd_tf.output.text_table import aligned

LATIN = os.fsdecode(b"d\xe9p\xf4t")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain name.png", "plain name.png"),
        ("dépôt 图像　🙂 $5$ \\n", "dépôt 图像　🙂 $5$ \\n"),
        (LATIN, r"d\xe9p\xf4t"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x1b[31mred\x7f\x85", r"\x1b[31mred\x7f\x85"),
        ("a\u2028b\u202ec", r"a\u2028b\u202ec"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_name_is_shown_as_one_line_of_utf_8(name, expected):
    assert shown(name) == expected == shown(expected)
    assert "".join(expected.encode("utf-8").decode("utf-8").splitlines()) == expected


def test_a_sentence_stays_one():
    assert one_line(f"files\n  {LATIN}\x1b cannot") == r"files d\xe9p\xf4t\x1b cannot"


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("utf-8", r"é d\xe9p\xf4t ±".encode()), ("ascii", rb"\xe9 d\xe9p\xf4t \xb1")],
)
def test_a_stream_writes_what_it_can(encoding, expected):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding=encoding, errors=UNWRITABLE)
    stream.write(f"é {LATIN} ±")
    stream.flush()
    assert written.getvalue() == expected


def test_bytes_are_not_read_so():
    with pytest.raises(UnicodeDecodeError):
        b"\xe9".decode("utf-8", UNWRITABLE)


def test_a_table_has_a_line_for_each_row():
    table = aligned([("name", "class"), ("a\nb", LATIN)])
    assert table == "name        class\n" + r"a\nb  d\xe9p\xf4t"


def test_lists_and_notes_are_one_line(capsys):
    assert listed(["a\nb", LATIN]) == r"a\nb, d\xe9p\xf4t"
    note(f"left out: a\nb, {LATIN}")
    assert capsys.readouterr().err == r"note: left out: a b, d\xe9p\xf4t" + "\n"
