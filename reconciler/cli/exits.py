"""Exit codes (design §7), and the error that ends a command with one of them."""

from __future__ import annotations

DONE, FAILED, PENDING, PARTLY, HELD, USAGE, INVALID, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 5, 64, 65, 69, 130


class ExitError(Exception):
    """Ends the command with ``code``; ``message`` goes to standard error."""

    def __init__(self, code: int, message: str = "") -> None:
        self.code, self.message = code, message
        super().__init__(message)
