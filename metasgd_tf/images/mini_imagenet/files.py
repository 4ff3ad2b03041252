"""Images on disk: files of their own, or members of a tar."""

import dataclasses
import pathlib
import re
import tarfile

from trainers.errors import InputError

ILSVRC_TAR = "ILSVRC2012_img_train.tar"
IMAGE_SUFFIXES = {".jpeg", ".jpg", ".png"}
WORDNET_ID = re.compile(r"n\d{8}")


@dataclasses.dataclass(frozen=True)
class Stored:
    """Where the bytes of one image are.

    Attributes:
      path: the file.
      member: if the file is a tar, the image's name in it.
      start: where in the file the image begins.
      size: how many bytes it has; -1 for all up to the end of the file.
    """

    path: pathlib.Path
    member: str = ""
    start: int = 0
    size: int = -1

    def __str__(self) -> str:
        """Returns the image's path, and its name in a tar, for messages."""
        return str(self.path / self.member)

    def read(self) -> bytes:
        """Returns the bytes."""
        with self.path.open("rb") as file:
            file.seek(self.start)
            return file.read(self.size)


def images_in(folder: pathlib.Path) -> dict[str, Stored]:
    """Returns the images in a folder, by name and in the order of their names."""
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    return {path.name: Stored(path) for path in paths if path.suffix.lower() in IMAGE_SUFFIXES}


def class_folders(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns a folder's sub-folders that are named by a WordNet id; none if it does not exist."""
    if not folder.is_dir():
        return {}
    paths = (path for path in sorted(folder.iterdir()) if WORDNET_ID.fullmatch(path.name))
    return {path.name: path for path in paths if path.is_dir()}


class IlsvrcTraining:
    """ILSVRC-2012's training set: a folder or a tar for each class, or one tar of all those tars.

    A class is taken from its folder, else from its own tar, else from the tar of all.
    """

    def __init__(self, folder: pathlib.Path):
        """Lists the classes in a folder.

        Raises:
          InputError: if the tar of all is damaged.
        """
        self._folders = class_folders(folder)
        self._tars = {
            path.stem: Stored(path)
            for path in (sorted(folder.glob("n*.tar")) if folder.is_dir() else [])
            if WORDNET_ID.fullmatch(path.stem)
        }
        whole = folder / ILSVRC_TAR
        if whole.is_file():
            tars = {pathlib.PurePath(tar.member).stem: tar for tar in _members(Stored(whole))}
            self._tars = tars | self._tars

    @property
    def classes(self) -> set[str]:
        """The WordNet ids of the classes that are there."""
        return self._folders.keys() | self._tars.keys()

    def numbered(self, name: str) -> list[Stored]:
        """Returns the images of a class in the order of their numbers; none if it does not exist.

        The number of n01532829_34094.JPEG is 34094. Files without such a name are skipped.

        Raises:
          InputError: if the class's tar is damaged.
        """
        if name in self._folders:
            stored = [Stored(path) for path in self._folders[name].iterdir()]
        elif name in self._tars:
            stored = _members(self._tars[name])
        else:
            return []
        form = re.compile(rf"{name}_(\d+)\.jpe?g", re.IGNORECASE)
        numbered = {}
        for one in stored:
            if match := form.fullmatch((one.path / one.member).name):
                numbered[int(match[1])] = one
        return [numbered[number] for number in sorted(numbered)]


def _members(tar: Stored) -> list[Stored]:
    """Returns the files in a tar, which may itself be in a tar.

    Nothing is unpacked: the tars are uncompressed, so that each image is a byte range of the file.

    Raises:
      InputError: if the tar cannot be read.
    """
    try:
        with tar.path.open("rb") as file:
            file.seek(tar.start)
            with tarfile.open(fileobj=file, mode="r:") as opened:
                return [
                    Stored(
                        tar.path,
                        str(pathlib.PurePath(tar.member, one.name)),
                        one.offset_data,
                        one.size,
                    )
                    for one in opened
                    if one.isfile()
                ]
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        # Of nonsense in an extended header it passes on what Python says of the number.
        raise InputError(
            f"manual_dir: holds {tar}, which cannot be read as an uncompressed tar ({error}); "
            "get it anew"
        ) from error
