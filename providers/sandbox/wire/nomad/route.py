"""A route of the API: method and path, who may answer, what it reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from providers.sandbox.wire.nomad.call import Call, Reply

Answer = Callable[[Call], Reply]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """``PUT`` stands for ``POST`` too. ``forwarded``: the leader answers, unless a stale read may be any server's."""

    method: str
    path: str  # "/v1/node/{id}/drain"; "{path*}" takes the rest
    answer: Answer
    forwarded: bool = True
    pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        text = re.sub(r"\{(\w+)\*\}", r"(?P<\1>.+)", self.path)
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", text)))

    def takes(self, method: str) -> bool:
        """Whether the route is for this method."""
        return method == self.method or (self.method == "PUT" and method == "POST")


def get(path: str, answer: Answer, *, forwarded: bool = True) -> Route:
    """Make a route that reads."""
    return Route(method="GET", path=path, answer=answer, forwarded=forwarded)


def put(path: str, answer: Answer, *, forwarded: bool = True) -> Route:
    """Make a route that writes."""
    return Route(method="PUT", path=path, answer=answer, forwarded=forwarded)


def delete(path: str, answer: Answer) -> Route:
    """Make a route that removes."""
    return Route(method="DELETE", path=path, answer=answer)
