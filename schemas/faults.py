"""What a port raises when the outside does not do as asked; providers translate foreign errors at the door."""

from __future__ import annotations

from enum import StrEnum


class Source(StrEnum):
    """Whom we ask. A source that did not answer is named; it is never an empty list."""

    NOMAD = "nomad"
    EC2 = "ec2"
    STORE = "store"
    PRICES = "prices"
    EVENTS = "events"
    SNAPSHOTS = "snapshots"


class Refusal(StrEnum):
    """Why EC2 or Nomad said no, as far as it changes what we do next."""

    CAPACITY = "capacity"  # this offering has none now: out for minutes, the next best is tried
    QUOTA = "quota"  # the account's limit for a class: out for half an hour
    UNTRIED = "untried"  # the fleet never got to this offering: says nothing about it
    IMPOSSIBLE = "impossible"  # this type is not offered there at all: out for hours
    SPECIFICATION = "specification"  # image, subnet, profile, rights: the document or the account must change
    MISMATCH = "mismatch"  # IdempotentParameterMismatch: the token was used with other parameters
    SPENT = "spent"  # IdempotentInstanceTerminated: what the token gave is gone
    EXISTS = "exists"  # the name is taken; what is there decides
    CONFLICT = "conflict"  # somebody else wrote first
    PROTECTED = "protected"  # OperationNotPermitted: termination protection is on
    INVALID = "invalid"  # the outside says that the request makes no sense


class Fault(Exception):  # noqa: N818 - the family; its members are the errors
    """The outside did not do as asked; callers branch on the subclass and its fields, never on the text."""

    def __init__(self, source: Source, what: str, message: str) -> None:
        self.source, self.what, self.message = source, what, message
        super().__init__(f"{source}: {what}: {message}")


class UnansweredError(Fault):
    """Nobody answered, or nobody who knows: nothing was learnt, and nothing happened."""


class OutcomeUnknownError(Fault):
    """A write was sent and no answer came back: it may or may not have happened."""


class RefusedError(Fault):
    """The outside answered no: nothing happened."""

    def __init__(self, source: Source, what: str, message: str, *, why: Refusal, code: str = "") -> None:
        self.why, self.code = why, code
        super().__init__(source, what, message)
