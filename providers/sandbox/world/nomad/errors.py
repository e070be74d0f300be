"""How the simulated Nomad refuses a request."""

from __future__ import annotations


class ApiError(Exception):
    """An HTTP error answer: the status and Nomad's own text."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text
        super().__init__(f"{status}: {text}")


NO_LEADER = "No cluster leader"
