"""The queue against moto's SQS, which keeps visibility, redelivery and batches as SQS does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from botocore.stub import Stubber
from moto import mock_aws

from providers.aws.clients import Clients
from providers.events.box import Received
from providers.events.queue import Queue
from schemas.faults import UnansweredError
from support.aws_wire import REGION, run

pytestmark = pytest.mark.xdist_group("moto")


@cache
def shared_clients() -> Clients:
    return Clients(REGION)


@pytest.fixture
def queue(no_account: None) -> Iterator[tuple[Queue, str]]:
    with mock_aws():
        url = shared_clients().sqs().create_queue(QueueName="nomad-reconciler-prod")["QueueUrl"]
        yield Queue(shared_clients(), url), url


def test_messages_are_received_hidden_and_gone_when_they_are_deleted(queue: tuple[Queue, str]) -> None:
    door, url = queue
    sent = {str(n) for n in range(12)}
    for body in sorted(sent):
        shared_clients().sqs().send_message(QueueUrl=url, MessageBody=body)

    async def work() -> None:
        first = await door.receive()
        second = await door.receive()
        assert len(first) == 10
        assert {m.body for m in (*first, *second)} == sent
        await door.delete([*first, *second])

    run(work)
    counted = shared_clients().sqs().get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counted["ApproximateNumberOfMessages"] == counted["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_queue_that_is_not_there_is_unanswered(queue: tuple[Queue, str]) -> None:
    gone = Queue(shared_clients(), queue[1] + "-other")

    async def work() -> None:
        with pytest.raises(UnansweredError, match="other"):
            await gone.receive()

    run(work)


def test_messages_that_could_not_be_deleted_are_told_of(no_account: None) -> None:
    failed = {"Successful": [], "Failed": [{"Id": "0", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}]}
    door = Queue(shared_clients(), "https://sqs.us-east-1.amazonaws.com/1/q")

    async def work() -> None:
        with pytest.raises(UnansweredError, match="1 of 1 messages stay: ReceiptHandleIsInvalid"):
            await door.delete([Received(body="", handle="h")])

    with Stubber(shared_clients().sqs()) as stub:
        stub.add_response("delete_message_batch", failed)
        run(work)
