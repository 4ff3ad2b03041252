"""The user's own functions, named on the command line as package.module:function."""

import importlib
from collections.abc import Callable
from typing import Any

from trainers.errors import InputError


def call(flag: str, name: str, **arguments: Any) -> Any:
    """Imports a function and calls it.

    Args:
      flag: the flag that names it, for error messages.
      name: `package.module:function`, where the package is on Python's import path, which includes
        the current directory.
      **arguments: the function's arguments, passed by position; their names are for error messages.

    Returns:
      What the function returns.

    Raises:
      InputError: if the function cannot be imported or raises any exception.
    """
    module, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), function_name)
    except (Exception, SystemExit) as error:
        # The user's module may raise anything, and call sys.exit.
        raise InputError(
            f"{flag}={name}: cannot be imported ({type(error).__name__}: {error}); should be "
            "package.module:function, found from the current directory or where Python looks"
        ) from error
    return guarded(f"{flag}={name}:", function, **arguments)


def guarded(source: str, function: Callable[..., Any], **arguments: Any) -> Any:
    """Calls a function of the user's.

    Args:
      source: what it is, as an error message begins.
      function: the function.
      **arguments: its arguments, as for `call`.

    Returns:
      What the function returns.

    Raises:
      InputError: if the function raises any exception.
    """
    try:
        return function(*arguments.values())
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        # The user's function may raise anything, and call sys.exit.
        shown = ", ".join(f"{key}={value}" for key, value in arguments.items() if key != "settings")
        raise InputError(f"{source} raised {type(error).__name__} ({error}) for {shown}") from error
