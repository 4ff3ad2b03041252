"""Errors of the file system become one sentence, and nothing else does."""

import errno
import os
import secrets

import pytest
import tensorflow as tf

from metasgd_tf.output import storage
from metasgd_tf.output.atomic_file import replaced


def of_tensorflow(kind, message):
    return kind(None, None, message)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/runs/a/flags.txt"),
            "/runs/a/flags.txt: No space left on device; free some space, then give the same "
            "command again",
        ),
        (
            OSError(errno.EISDIR, "Is a directory", "/runs/a/flags.txt"),
            "/runs/a/flags.txt: Is a directory; see to it or name another",
        ),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", b"/runs/aaa"),
            "/runs/aaa: File name too long; see to it or name another",
        ),
        (
            of_tensorflow(
                tf.errors.ResourceExhaustedError,
                "{{function_node __wrapped__SaveV2}} runs/a b/ckpt-4.index; No space left on "
                "device [Op:SaveV2]",
            ),
            "runs/a b/ckpt-4.index: No space left on device; free some space, then give the same "
            "command again",
        ),
        (
            of_tensorflow(
                tf.errors.FailedPreconditionError, "/runs/a/train; Read-only file system"
            ),
            "/runs/a/train: Read-only file system; make it writable or name another directory",
        ),
    ],
)
def test_the_file_the_cause_and_the_remedy_are_named(error, sentence):
    assert storage.told(error) == sentence


@pytest.mark.parametrize(
    "error",
    [
        OSError("of a library's own"),
        OSError("of a library's own", None, "/runs/a"),
        OSError(errno.EBADF, "Bad file descriptor", 7),
        OSError(errno.ENOSPC, "No space left on device"),
        of_tensorflow(tf.errors.ResourceExhaustedError, "OOM when allocating tensor"),
    ],
)
def test_other_errors_are_not_told_of(error):
    assert storage.told(error) is None


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_what_could_not_be_written_names_its_file(tmp_path, monkeypatch):
    """Python's error for a file that is open already has no name."""
    (tmp_path / "a.txt").write_text("before", encoding="utf-8")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "1f")
    (tmp_path / "a.txt.1f.draft").symlink_to("/dev/full")
    with pytest.raises(OSError) as caught, replaced(tmp_path / "a.txt") as file:
        file.write("after")
    assert caught.value.filename == str(tmp_path / "a.txt")
    assert storage.told(caught.value).startswith(f"{tmp_path / 'a.txt'}: No space left")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "before"
    assert not os.path.lexists(tmp_path / "a.txt.1f.draft")
