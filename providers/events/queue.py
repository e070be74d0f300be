"""The interruption queue itself: receive by long poll, delete what is dealt with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from providers.aws.call import Caller
from providers.aws.clients import Clients
from providers.events.box import AT_ONCE, HIDDEN, LONG_POLL, Received
from schemas.faults import Source, UnansweredError


class Queue:
    """An SQS queue by its URL. A process that also polls it takes messages away: each needs a queue of its own."""

    def __init__(self, clients: Clients, url: str, *, inline: bool = False) -> None:
        """Make it; ``inline`` calls block the loop, for a wire in this process and its virtual time."""
        self._clients, self._url = clients, url
        self._caller = Caller(Source.EVENTS, inline=inline)

    async def receive(self, *, wait: int = LONG_POLL) -> tuple[Received, ...]:
        """Wait up to ``wait`` seconds (at most 20) for messages, at most ten. Raises UnansweredError."""

        def poll() -> tuple[Received, ...]:
            answer = self._clients.sqs().receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=AT_ONCE,
                WaitTimeSeconds=wait,
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
