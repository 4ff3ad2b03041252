"""Files and folders that nobody meant well: every one is read, or refused with a sentence.

Whatever is read, nothing is written, and nothing beside the images is.
"""

import io
import os
import pathlib
import struct
import tarfile
import tempfile
import zlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from metasgd_tf.images.files import image_files, image_listing
from metasgd_tf.images.files.image_files import UnusableImageError
from metasgd_tf.images.mini_imagenet import layouts
from tests import synthetic_mini_imagenet as synthetic
from trainers.errors import InputError

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")


def encoded(kind):
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


GOOD = {kind: encoded(kind) for kind in FORMATS}


def hurt(data, cut, place, value, tail):
    """Cuts bytes off, changes one, and puts others behind: what a polyglot is made of."""
    changed = bytearray(data[: max(1, len(data) - cut)])
    changed[place % len(changed)] ^= value
    return bytes(changed) + tail


TAILS = st.sampled_from([b"", b"PK\x05\x06" + bytes(18), b"%PDF-1.4", b"<svg/>", *GOOD.values()])
DAMAGED = st.builds(
    hurt,
    st.sampled_from(list(GOOD.values())),
    st.one_of(st.just(0), st.integers(0, 200)),
    st.integers(0, 10**6),
    st.integers(0, 255),
    TAILS,
)
CONTENTS = st.one_of(DAMAGED, st.binary(max_size=64), st.sampled_from(list(GOOD.values())))
# Of any script, and what no file system takes left out.
NAMES = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=24)


def tree(folder):
    """Returns what lies in a folder, with the times at which it was written."""
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


def decoded_or_refused(data):
    try:
        image = image_files.decode(io.BytesIO(data), 16, 3)
    except UnusableImageError as error:
        assert str(error) and "\n" not in str(error)
        return None
    assert image.shape == (16, 16, 3) and image.dtype == np.uint8
    return image


@settings(max_examples=300)
@given(CONTENTS)
def test_any_bytes_are_decoded_or_refused_in_words(data):
    decoded_or_refused(data)


@pytest.mark.slow
@settings(max_examples=3000)
@given(CONTENTS)
def test_many_more_bytes_are_decoded_or_refused_in_words(data):
    decoded_or_refused(data)


def png_with(*chunks):
    """A good PNG with chunks of its own behind the header."""
    good, end_of_header = GOOD["PNG"], 33
    made = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return good[:end_of_header] + made + good[end_of_header:]


BOMB = zlib.compress(bytes(200_000_000), 9)


@pytest.mark.parametrize(
    "chunk",
    [
        (b"zTXt", b"note\0\0" + BOMB),
        (b"iTXt", b"note\0\1\0\0\0" + BOMB),
        (b"iCCP", b"profile\0\0" + BOMB),
    ],
    ids=lambda chunk: chunk[0].decode(),
)
def test_a_text_that_swells_to_200_megabytes_is_read_over_or_refused(chunk):
    decoded_or_refused(png_with(chunk))


def names_that_fit(names):
    """Returns the names that one folder can hold beside each other."""
    return {name for name in names if name not in (".", "..") and len(os.fsencode(name)) < 200}


@settings(max_examples=25)
@given(st.sets(NAMES, min_size=1, max_size=4), st.sets(NAMES, min_size=1, max_size=4), CONTENTS)
@example({"a\nb", "‮gpj"}, {"é.png", "\x1b[31m.png", "名.jpg"}, b"")
def test_folders_and_files_of_any_name_are_read_or_refused_in_one_line(classes, files, data):
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for folder in names_that_fit(classes):
            (root / folder).mkdir()
            for file in names_that_fit(files):
                (root / folder / file).write_bytes(data)
        before = tree(root)
        try:
            found = image_listing.find(name)
            read = image_files.read(name, {"train": found}, 16, 3)["train"]
        except InputError as error:
            assert str(error).startswith(f"image_dir={name}: ")
        else:
            assert len(read.images) == sum(map(len, found.values()))
        assert tree(root) == before


def class_with(root, name, data=GOOD["PNG"]):
    (root / name).mkdir(parents=True)
    (root / name / "1.png").write_bytes(data)
    return root / name


def test_links_in_circles_are_refused_in_a_sentence(tmp_path):
    folder = class_with(tmp_path / "images", "a")
    (folder / "round.png").symlink_to(folder / "round.png")
    with pytest.raises(InputError, match="image_dir=.*cannot be"):
        found = image_listing.find(str(tmp_path / "images"))
        image_files.read(str(tmp_path / "images"), {"train": found}, 16, 3)


def test_a_class_that_links_to_the_folder_above_is_refused_in_a_sentence(tmp_path):
    folder = class_with(tmp_path / "images", "a")
    (tmp_path / "images" / "up").symlink_to(folder.parent)
    with pytest.raises(InputError, match="up/a is a folder"):
        image_listing.find(str(tmp_path / "images"))


def test_links_out_of_the_folder_are_read_and_what_they_lead_to_is_left_alone(tmp_path):
    outside = class_with(tmp_path, "outside")
    folder = class_with(tmp_path / "images", "a")
    (folder / "linked.png").symlink_to(outside / "1.png")
    (tmp_path / "images" / "b").symlink_to(outside)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere.png")
    before = tree(tmp_path)
    found = image_listing.find(str(tmp_path / "images"))
    with pytest.raises(InputError, match=r"a/gone.png \(cannot be read"):
        image_files.read(str(tmp_path / "images"), {"train": found}, 16, 3)
    assert tree(tmp_path) == before
    (folder / "gone.png").unlink()
    found = image_listing.find(str(tmp_path / "images"))
    assert (
        len(image_files.read(str(tmp_path / "images"), {"train": found}, 16, 3)["train"].images)
        == 3
    )


@pytest.mark.slow
def test_a_hundred_thousand_files_are_listed_in_the_order_of_their_names(tmp_path):
    folder = class_with(tmp_path, "a")
    for number in range(100_000):
        (folder / f"{number}.png").touch()
    (paths,) = image_listing.find(str(tmp_path)).values()
    assert [path.name for path in paths] == sorted(f"{number}.png" for number in range(100_000))


def hostile_tar(names, links=()):
    """A tar of files by names that lead out of it, and of links."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
        for name, target in links:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return packed.getvalue()


LABEL = synthetic.NAMES[0]


def test_members_that_climb_out_of_a_tar_are_not_written_anywhere(tmp_path):
    folder = tmp_path / "deep" / "manual"
    folder.mkdir(parents=True)
    synthetic.write_csv(folder)
    names = [f"../../{LABEL}_4.JPEG", f"{tmp_path}/{LABEL}_9.JPEG", f"a/../../{LABEL}_10.JPEG"]
    links = [(f"{LABEL}_123.JPEG", "/etc/passwd")]
    (folder / f"{LABEL}.tar").write_bytes(hostile_tar(names, links))
    before = tree(tmp_path)
    found = layouts.find(folder, synthetic.CONTENTS)
    # They are ranges of bytes of the tar, by the last part of their name, and a link is none.
    stored = [image.stored for images in found.images.values() for image in images]
    assert {one.path for one in stored} == {folder / f"{LABEL}.tar"}
    assert {one.read() for one in stored} == {b"evil"}
    assert tree(tmp_path) == before


def tar_hurt(place, value, cut):
    data = bytearray(hostile_tar([f"{LABEL}_{number}.JPEG" for number in (4, 9, 10)]))
    data[place % 2048] ^= value
    return bytes(data[: len(data) - cut])


def sparse_tar(key, value):
    """A tar whose extended header describes a sparse file in nonsense."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo(f"{LABEL}_4.JPEG")
        entry.pax_headers = {key: value, "GNU.sparse.major": "0", "GNU.sparse.minor": "1"}
        archive.addfile(entry)
    return packed.getvalue()


@settings(max_examples=80)
@given(
    st.one_of(
        st.builds(tar_hurt, st.integers(0, 2047), st.integers(1, 255), st.integers(0, 4000)),
        st.binary(max_size=2048),
        st.builds(
            sparse_tar,
            st.sampled_from(["GNU.sparse.map", "GNU.sparse.size", "size", "mtime"]),
            st.text("0123456789,-x", max_size=8),
        ),
    )
)
@example(sparse_tar("GNU.sparse.map", "x"))
@example(sparse_tar("size", "9" * 18))
def test_a_damaged_tar_is_read_or_refused_in_a_sentence(data):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        synthetic.write_csv(folder)
        (folder / f"{LABEL}.tar").write_bytes(data)
        before = tree(folder)
        try:
            found = layouts.find(folder, synthetic.CONTENTS)
            for images in found.images.values():
                for image in images:
                    image.stored.read()
        except InputError as error:
            assert str(error).startswith("manual_dir")
        assert tree(folder) == before
