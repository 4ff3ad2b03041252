"""Names of files and classes as text that any terminal, table, figure or file can take.

A file's name is any bytes. Python keeps those that are not UTF-8 as surrogates, which cannot be
written; line breaks would end a line of a table, and escape sequences steer a terminal. Files are
opened by their real names; these are for people to read.
"""

import codecs
import unicodedata

UNWRITABLE = "shown_names"
"""The name of an error handler for streams, which writes what they cannot encode as `shown` does.

It is there once this module is imported.
"""

_STEERING = {"Cc", "Cs", "Zl", "Zp"}
"""Categories of Unicode: control characters, surrogates, breaks of lines and of paragraphs."""
_DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that turn the direction of all that follows."""


def shown(name: str) -> str:
    r"""Returns a name with all that cannot be written, or would break a line, as an escape.

    Args:
      name: any text; `d\udce9p` is what Python makes of the bytes d, E9 and p.

    Returns:
      One line of UTF-8, such as `d\xe9p` with a backslash; other names as they are.
    """
    return "".join(
        _escaped(character)
        if unicodedata.category(character) in _STEERING or ord(character) in _DIRECTIONS
        else character
        for character in name
    )


def one_line(text: str) -> str:
    """Returns text with each break and other run of white space as one space, and `shown`."""
    return shown(" ".join(text.split()))


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # A byte that is not UTF-8.
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_escaped, error.object[error.start : error.end])), error.end


codecs.register_error(UNWRITABLE, _instead)
