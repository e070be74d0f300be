"""The interruption queue itself: receive by long poll, delete what is dealt with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from providers.aws.call import Caller
from providers.aws.clients import LONG_POLL, Clients
from schemas.faults import Source, UnansweredError

AT_ONCE: Final = 10
HIDDEN: Final = 20
"""Seconds for which a message is nobody else's: long enough to write an intent down, not to drain a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message, and the handle by which this receipt of it is deleted."""

    body: str
    handle: str


class Queue:
    """An SQS queue by its URL. A process that also polls it takes messages away: each needs a queue of its own."""

    def __init__(self, clients: Clients, url: str) -> None:
        self._clients, self._url = clients, url
        self._caller = Caller(Source.EVENTS)

    async def receive(self) -> tuple[Received, ...]:
        """Wait up to 20 s for messages, at most ten. Raises UnansweredError."""

        def poll() -> tuple[Received, ...]:
            answer = self._clients.sqs().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=AT_ONCE,
                WaitTimeSeconds=LONG_POLL,
                VisibilityTimeout=HIDDEN,
            )
            return tuple(Received(body=m["Body"], handle=m["ReceiptHandle"]) for m in answer.get("Messages", ()))

        return await self._caller.read(f"ReceiveMessage {self._url}", poll)

    async def delete(self, messages: Sequence[Received]) -> None:
        """Delete messages whose intent is durable, or that are of no use; one that stays comes again and is known.

        Raises UnansweredError when some were not deleted.
        """
        for start in range(0, len(messages), AT_ONCE):
            batch = messages[start : start + AT_ONCE]
            await self._caller.read(f"DeleteMessageBatch {self._url}", partial(self._delete, batch))

    def _delete(self, batch: Sequence[Received]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": message.handle} for n, message in enumerate(batch)]
        answer = self._clients.sqs().delete_message_batch(QueueUrl=self._url, Entries=entries)  # type: ignore[arg-type]
        if failed := answer.get("Failed"):
            told = f"{len(failed)} of {len(batch)} messages stay: {failed[0].get('Code', '')}"
            raise UnansweredError(Source.EVENTS, "DeleteMessageBatch", told)
