"""The one exception that reaches the user as a sentence instead of a traceback."""


class UserError(Exception):
    """A problem that the user can act on.

    ``what`` says in one line what is wrong, ``hint`` what to do about it; the command line
    prints them as ``error: WHAT`` and ``hint: FIX`` and exits with status 1.
    """

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
