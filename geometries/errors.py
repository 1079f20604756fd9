"""The one exception for mistakes that a user can mend, and the one warning."""


class InputError(ValueError):
    """Bad input. The message is one line: what was wrong, what was expected, what to do.

    The command line prints it and ends with exit code 2; as a library error it is an ordinary ValueError.
    """


class InputWarning(UserWarning):
    """Input that is used all the same, but may not mean what its user thinks. One line, as of `InputError`.

    The command line prints it.
    """
