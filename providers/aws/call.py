"""One call to AWS: in a bounded thread pool, and whatever goes wrong becomes a fault of ours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    ParamValidationError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from providers.aws.clients import THREADS
from providers.ec2.codes import fault_of
from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError

T = TypeVar("T")


class NotAnAnswerError(Exception):
    """What came back parses, and is not what the service answers."""


_SENT = (HTTPClientError, SSLError, IncompleteReadError, ChecksumError, ResponseParserError, NotAnAnswerError)
"""After these nobody knows what came of the request; any other error of botocore's comes before it is sent."""


class Caller:
    """Runs blocking calls beside the event loop, at most ``THREADS`` of them at a time."""

    def __init__(self, source: Source, *, inline: bool = False) -> None:
        """Make a caller; ``inline`` calls block, for a wire in this process and its virtual time."""
        self._source, self._inline = source, inline
        self._limiter = CapacityLimiter(THREADS)

    async def read(self, what: str, work: Callable[[], T]) -> T:
        """Ask something. Raises UnansweredError; a caller that is cancelled does not wait for the answer."""
        asked = partial(self._guarded, what, work, writes=False)
        if self._inline:
            return asked()
        return await to_thread.run_sync(asked, limiter=self._limiter, abandon_on_cancel=True)

    async def write(self, what: str, work: Callable[[], T]) -> T:
        """Change something. Raises any Fault; it is waited for whatever happens, so that its outcome is heard."""
        done = partial(self._guarded, what, work, writes=True)
        if self._inline:
            return done()
        return await to_thread.run_sync(done, limiter=self._limiter)

    def _guarded(self, what: str, work: Callable[[], T], *, writes: bool) -> T:
        try:
            return work()
        except (ClientError, BotoCoreError, ResponseParserError, NotAnAnswerError) as error:
            raise fault_from(error, self._source, what, writes=writes) from error


def fault_from(error: Exception, source: Source, what: str, *, writes: bool) -> Fault:
    """Translate an error of botocore's (source: aws.md §6)."""
    if isinstance(error, ClientError):
        said, status = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code, message = said.get("Code", "Unknown"), said.get("Message", "")
        return fault_of(code, message, status.get("HTTPStatusCode", 0), what=what, writes=writes, source=source)
    if not writes:
        return UnansweredError(source, what, str(error))
    if isinstance(error, ParamValidationError):
        return RefusedError(source, what, str(error), why=Refusal.SPECIFICATION, code="ParamValidation")
    return (OutcomeUnknownError if isinstance(error, _SENT) else UnansweredError)(source, what, str(error))
