"""Errors of the reconciler's own: each names what was refused, the numbers that decided it, and the way out."""

from __future__ import annotations


class ReconcilerError(Exception):
    """Any refusal of ours; callers branch on the subclass and its fields, never on the text."""


class JournalBrokenError(ReconcilerError):
    """The journal's record cannot be read: nothing is done on a guess."""

    def __init__(self, *, path: str, why: str) -> None:
        self.path, self.why = path, why
        super().__init__(
            f"the journal at {path} cannot be read ({why}); nothing is done until it is repaired or moved away"
        )


class PlanChangedError(ReconcilerError):
    """The plan is not the one that somebody looked at; raised before anything is done."""

    def __init__(self, *, digest: str, wanted: str) -> None:
        self.digest, self.wanted = digest, wanted
        super().__init__(
            f"the plan has changed: its digest is {digest} now, not {wanted}; nothing was done."
            " Look at it again with `reconcile plan`"
        )


class GuardError(ReconcilerError):
    """A guard refused an action on a fresh look; raised before any effect."""

    def __init__(self, *, key: str, why: str) -> None:
        self.key, self.why = key, why
        super().__init__(f"refused {key}: {why}")


class QuorumAtRiskError(GuardError):
    """A server step would leave fewer healthy voters than quorum; raised before any effect."""

    def __init__(self, *, key: str, server: str, healthy: int, voters: int, way_out: str) -> None:
        self.server, self.healthy, self.voters = server, healthy, voters
        why = f"{server}: {healthy} of {voters} voters would be healthy, quorum is {voters // 2 + 1}. {way_out}"
        super().__init__(key=key, why=why)
