"""The one exception for mistakes that a user can mend, and the one warning."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class InputError(ValueError):
    """Bad input. The message is one line: what was wrong, what was expected, what to do.

    The command line prints it and ends with exit code 2; as a library error it is an ordinary ValueError. Names in
    strangers' files may hold line breaks, or what a terminal obeys: control characters are shown as `?`.
    """

    def __init__(self, message: str):
        super().__init__(_CONTROL.sub("?", message))


class InputWarning(UserWarning):
    """Input that is used all the same, but may not mean what its user thinks. One line, as of `InputError`.

    The command line prints it.
    """
