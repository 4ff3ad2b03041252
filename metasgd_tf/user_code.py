"""Functions of a person's own, named on the command line as package.module:function."""

import importlib
from typing import Any

from trainers.errors import InputError


def call(flag: str, name: str, **arguments: Any) -> Any:
    """Imports a function and calls it.

    Args:
      flag: which flag names it, for errors.
      name: `package.module:function`. The package is looked for where Python looks, the current
        directory included.
      **arguments: what the function is called with.

    Raises:
      InputError: if there is no such function, or it raises something.
    """
    module, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), function_name)
    except Exception as error:
        # As below, a person's own module may raise anything.
        raise InputError(
            f"{flag}={name}: cannot be imported ({type(error).__name__}: {error}); should be "
            "package.module:function, found from the current directory or where Python looks"
        ) from error
    try:
        return function(*arguments.values())
    except InputError:
        raise
    except Exception as error:
        # It is a person's own code, which may raise anything.
        shown = ", ".join(f"{key}={value}" for key, value in arguments.items() if key != "settings")
        raise InputError(
            f"{flag}={name}: raised {type(error).__name__} ({error}) for {shown}"
        ) from error
