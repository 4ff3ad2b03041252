"""What reaches standard error: what Python writes there, and native code only after a crash."""

import importlib.metadata
import json
import os
import pty
import shutil
import subprocess
import sys

import pytest

from tests import synthetic_folder
from tests.metasgd_tf.shell import LIMIT, ROOT, SMALL, assert_refused, command

PROGRAM = """
import os, signal, sys, warnings
from metasgd_tf import command_line
from trainers.errors import InputError

# Python ignores it where these tests run in the background of a shell.
signal.signal(signal.SIGINT, signal.default_int_handler)

def native(text):
    os.write(2, text)

def main():
    from absl import logging
    from metasgd_tf.output.notes import note

    MAIN

command_line.run(main)
"""


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    """A directory for PYTHONPATH with a TensorFlow that logs its import and has an error class."""
    path = tmp_path_factory.mktemp("stand_in")
    text = """import os

os.write(2, b"native: imported\\n")


class errors:
    class OpError(Exception):
        pass
"""
    (path / "tensorflow.py").write_text(text, encoding="utf-8")
    # The package itself imports Keras, which would want the real one.
    (path / "trainers").mkdir()
    (path / "trainers" / "__init__.py").touch()
    shutil.copy(ROOT / "trainers" / "errors.py", path / "trainers")
    return str(path)


@pytest.fixture
def program(stand_in):
    """Runs a program whose `main` is these lines, and returns what came of it."""

    def ran(*lines, stdout=subprocess.PIPE, stderr=subprocess.PIPE, arguments=(), **environment):
        own = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
        usual = {"PYTHONPATH": os.pathsep.join([stand_in, str(ROOT)]), "PYTHONUNBUFFERED": ""}
        return subprocess.run(
            [sys.executable, "-P", "-c", PROGRAM.replace("MAIN", "\n    ".join(lines)), *arguments],
            env=own | usual | environment,
            stdout=stdout,
            stderr=stderr,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    return ran


def test_native_code_is_not_heard_where_a_command_ends_as_it_should(program):
    done = program("native(b'native: slow\\n')", "print('done')")
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("raise InputError('no such thing')", 1, "error: no such thing\n"),
        ("signal.raise_signal(signal.SIGINT)", 130, "stopped by SIGINT\n"),
        ("sys.exit(3)", 3, ""),
    ],
)
def test_nor_where_it_ends_with_a_sentence(program, line, code, said):
    done = program("native(b'native: slow\\n')", line)
    assert (done.returncode, done.stderr) == (code, said)


def test_the_version_is_told_without_the_flags_that_a_command_needs():
    done = command("train", "--version")
    assert done.returncode == 0
    assert done.stdout == f"metasgd_tf {importlib.metadata.version('metasgd_tf')}\n"
    assert "--[no]version" in command("train", "--help").stdout


def test_what_python_writes_comes_out_in_its_order(program):
    done = program(
        "note('a — é')",
        "native(b'native: slow\\n')",
        "warnings.warn('a warning')",
        "logging.error('logged')",
        "logging.warning('not logged')",
        "print('printed', file=sys.stderr)",
        "raise InputError('ends')",
    )
    first, warning, logged, printed, last = done.stderr.splitlines()
    assert (first, printed, last) == ("note: a — é", "printed", "error: ends")
    assert warning.endswith("UserWarning: a warning") and logged.endswith("logged")


def test_after_an_exception_that_nobody_foresaw_all_is_shown(program):
    done = program("native(b'native: out of memory\\n')", "raise OSError('unforeseen')")
    first, second, *traceback = done.stderr.splitlines()
    assert done.returncode == 1
    assert (first, second) == ("native: imported", "native: out of memory")
    assert traceback[0].startswith("Traceback") and traceback[-1] == "OSError: unforeseen"


def test_the_last_words_of_native_code_that_crashes_are_shown(program):
    done = program("native(b'native: check failed\\n')", "os.abort()")
    assert done.returncode < 0
    first, second, third, *_ = done.stderr.splitlines()
    assert (first, second) == ("native: imported", "native: check failed")
    assert third == "Fatal Python error: Aborted"


def test_of_much_the_last_is_kept_and_nothing_fills_up(program):
    done = program(
        "for number in range(40_000): native(b'native: %d%50s\\n' % (number, b''))",
        "raise OSError('unforeseen')",
    )
    native, _, traceback = done.stderr.partition("Traceback")
    assert len(native) == 64 * 1024 and traceback
    assert native.splitlines()[-1].split() == ["native:", "39999"]


@pytest.mark.parametrize("level", ["0", "1"])
def test_who_asks_tensorflow_to_log_sees_it_at_once(program, level):
    done = program("note('noted')", "native(b'native: slow\\n')", TF_CPP_MIN_LOG_LEVEL=level)
    assert (done.returncode, done.stderr) == (0, "native: imported\nnote: noted\nnative: slow\n")


def test_less_than_the_usual_log_stays_silent(program):
    assert program("native(b'native: slow\\n')", TF_CPP_MIN_LOG_LEVEL="3").stderr == ""


def test_without_the_tool_that_keeps_it_native_code_is_heard(program, tmp_path):
    done = program("note('noted')", PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "native: imported\nnote: noted\n")


def test_a_terminal_stays_one(program):
    ours, theirs = pty.openpty()
    done = program("native(b'slow')", "sys.exit(3 if sys.stderr.isatty() else 4)", stderr=theirs)
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 3


PRINTS = {"at the end": "print('seen')", "at once": "print('seen ' * 10_000)"}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
@pytest.mark.parametrize("line", PRINTS.values(), ids=PRINTS.keys())
def test_what_cannot_be_printed_is_one_sentence(program, line):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = program(line, stdout=full)
        assert (done.returncode, done.stderr) == (
            1,
            "error: standard output: No space left on device; free some space, or print to "
            "somewhere else\n",
        )
        done = program(line, "note('noted')", stderr=full)
        assert done.returncode == 0 and done.stdout.startswith("seen")


@pytest.mark.parametrize("line", PRINTS.values(), ids=PRINTS.keys())
def test_where_nobody_reads_any_more_a_command_ends_quietly(program, line):
    ours, theirs = os.pipe()
    os.close(ours)
    done = program("native(b'native: slow\\n')", line, stdout=theirs)
    assert (done.returncode, done.stderr) == (141, "")
    done = program("print('seen')", "raise InputError('no such thing')", stdout=theirs)
    assert (done.returncode, done.stderr) == (1, "error: no such thing\n")
    done = program(stdout=theirs, arguments=["--helpfull"])
    assert (done.returncode, done.stderr) == (141, "")
    os.close(theirs)


def test_a_network_that_calls_native_code_is_not_heard(tmp_path, monkeypatch):
    """Nor is TensorFlow: this is the real one."""
    (tmp_path / "talking.py").write_text(
        "import os\ndef network(*_):\n    os.write(2, b'native: slow\\n')\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    done = command("train", "--model_dir=run", *SMALL, "--model=talking:network", PYTHONPATH=".")
    assert "returned a NoneType" in assert_refused(done)
    assert len(done.stderr.splitlines()) == 1


def test_names_that_are_not_utf_8_are_printed_otherwise(program):
    for environment in ({}, {"PYTHONIOENCODING": "utf-8"}, {"PYTHONIOENCODING": "ascii"}):
        done = program(
            r"print('d\udce9p')",
            r"print('d\udce9p', file=sys.stderr)",
            r"raise InputError('d\udce9p\x1b')",
            **environment,
        )
        assert done.stdout == "d\\xe9p\n"
        assert done.stderr == "d\\xe9p\nerror: d\\xe9p\\x1b\n"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("model_dir", b"d\xe9p", r"d\xe9p: TensorFlow opens names of UTF-8 alone; name a link"),
        ("data_dir", b"d\xe9p", r"d\xe9p: TensorFlow opens names of UTF-8 alone; name a link"),
        ("model_dir", b"lr[0.1]?", r"lr[0.1]?: has ? [, which TensorFlow takes for a pattern of"),
        (
            "model_dir",
            b"a\\b",
            r"a\b: has \, which TensorFlow takes for a pattern of names; name a",
        ),
        ("image_dir", b"a\nb", r"'a\nb': should have no line break in it; name a link"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_before_anything_is_made(
    tmp_path, monkeypatch, name, value, reason
):
    monkeypatch.chdir(tmp_path)
    done = command("train", "--model_dir=run", f"--{name}={os.fsdecode(value)}")
    assert assert_refused(done).startswith(f"error: {name}={reason}")
    assert not list(tmp_path.iterdir())


def test_a_name_with_a_nul_is_refused(tmp_path):
    """No argument can hold one, but a flagfile can."""
    path = tmp_path / "nul.flags"
    path.write_text(f"--model_dir={tmp_path}/a\0\n", encoding="utf-8")
    done = command("train", f"--flagfile={path}")
    assert assert_refused(done).startswith(rf"error: model_dir='{tmp_path}/a\x00': should have no ")


def test_a_flagfile_that_is_not_utf_8_is_refused(tmp_path):
    path = tmp_path / "latin.flags"
    path.write_bytes(b"# d\xe9p\n--ways=3\n")
    done = command("train", f"--flagfile={path}", f"--model_dir={tmp_path / 'run'}")
    said = assert_refused(done)
    assert said.startswith(f"error: flagfile={path}: holds bytes that are not UTF-8 (")


@pytest.mark.slow
def test_a_folder_of_any_name_is_trained_on_and_evaluated(tmp_path):
    folder, run = tmp_path / os.fsdecode(b"d\xe9p\xf4t"), tmp_path / "run"
    names = ["$1 or $2", os.fsdecode(b"\xe9"), "a\nb", *"cdefgh"]
    synthetic_folder.write(folder, dict.fromkeys(names, 3))
    arguments = ["--ways=3", "--shots=1", "--queries=1", "--image_size=16", "--iterations=1"]
    arguments += ["--task=image_folder", f"--image_dir={folder}", "--batch_norm=support"]
    arguments += ["--model=tests.fast_network:network"]
    for _ in range(2):  # The second time it only sees that all is done.
        done = command("train", *SMALL, *arguments, f"--model_dir={run}")
        assert done.returncode == 0, done.stderr
    assert r"d\xe9p\xf4t" in done.stderr
    done = command("evaluate", f"--model_dir={run}", "--num_tasks=4", "--confusion")
    assert done.returncode == 0, done.stderr
    assert r"d\xe9p\xf4t" in done.stdout
    assert r"d\xe9p\xf4t" in json.loads((run / "evaluation.json").read_text("utf-8"))["task"]
    assert not list(run.rglob("*.draft"))
