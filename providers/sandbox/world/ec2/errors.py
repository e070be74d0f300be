"""How EC2 says no: a code to branch on, a message for people, an HTTP status."""

from __future__ import annotations


class Ec2Error(Exception):
    """An answer other than success. Callers branch on ``code``, never on the message."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        self.code, self.message, self.status = code, message, status
        super().__init__(f"{code}: {message}")
