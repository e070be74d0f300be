"""How an AWS account is asked before the first launch: one question, one answer or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from anyio import CapacityLimiter, to_thread
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError, ProfileNotFound
from botocore.parsers import ResponseParserError

from providers.aws.clients import THREADS, Clients
from schemas.checks import Check, problem, unknown

T = TypeVar("T")

AT: Final = "aws"
DENIED: Final = frozenset(
    {
        "UnauthorizedOperation",
        "AccessDenied",
        "AccessDeniedException",
        "AuthorizationError",
        "AWS.SimpleQueueService.AccessDenied",
    }
)
NOT_HERE: Final = frozenset({"InvalidAction", "UnknownOperationException", "UnknownOperation", "NotImplemented"})
"""An endpoint that is not AWS's own may lack whole services."""
WOULD: Final = "DryRunOperation"


class No(Exception):  # noqa: N818 - an answer, not a mistake
    """AWS answered no."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}" if message else code)

    @property
    def denied(self) -> bool:
        """The right is missing."""
        return self.code in DENIED


class Silence(Exception):  # noqa: N818 - same
    """Nobody answered; ``asked`` tells whether there was anything to ask with."""

    def __init__(self, message: str, *, asked: bool) -> None:
        self.asked = asked
        super().__init__(message)


@dataclass(slots=True)
class Account:
    """An account in one region. ``inline`` calls block the loop, for a wire in this process."""

    clients: Clients
    inline: bool = False
    _limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(THREADS))

    async def ask(self, work: Callable[[], T]) -> T:
        """Ask. Raises No, Silence."""
        if self.inline:
            return _asked(work)
        return await to_thread.run_sync(partial(_asked, work), limiter=self._limiter, abandon_on_cancel=True)

    async def would(self, work: Callable[[], Any]) -> None:
        """Ask for a dry run. Raises No for whatever would be refused, Silence."""
        try:
            await self.ask(work)
        except No as no:
            if no.code != WOULD:
                raise


def _asked(work: Callable[[], T]) -> T:
    try:
        return work()
    except ClientError as error:
        said = error.response.get("Error", {})
        raise No(said.get("Code", "Unknown"), said.get("Message", "")) from error
    except (NoCredentialsError, PartialCredentialsError, ProfileNotFound) as error:
        raise Silence(str(error), asked=False) from error
    except ResponseParserError as error:  # another protocol's words: whoever answers does not know this service
        raise No("UnknownOperation", str(error)) from error
    except BotoCoreError as error:
        raise Silence(str(error), asked=True) from error


def not_told(what: str, error: No | Silence, *, right: str, ours: bool) -> Check:
    """Say why something could not be looked at.

    Args:
        what: what was to be looked at.
        error: what came.
        right: the action that it takes.
        ours: whether the program itself needs that right; else only this look does.

    """
    if isinstance(error, Silence):
        return problem(AT, what, f"no answer ({error})", "see whether this machine reaches the service", silent=True)
    if error.denied and ours:
        return problem(
            AT, what, f"{right} is denied", "`reconcile iam --only reconciler` prints the policy that allows it"
        )
    if error.denied:
        return unknown(AT, what, f"{right} is denied", "only this look needs it: allow it, or look yourself")
    if error.code in NOT_HERE:
        return unknown(AT, what, f"this endpoint knows no {right}")
    return problem(AT, what, str(error), "see what EC2 says")
