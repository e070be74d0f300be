"""Requests that make no sense are refused, by every route and operation, and the world goes on."""

from __future__ import annotations

import re

from providers.http import Http, Request
from providers.sandbox.virtualtime import LoopClock
from providers.sandbox.wire.ec2.actions import ACTIONS
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.wire.ec2.request import Asked
from providers.sandbox.wire.nomad.app import ROUTES
from support.nomad_jobs import Running, running
from support.whole_world import Doors, a_world, through_doors

BODIES = (
    b"",
    b"{bad",
    b"[]",
    b'"x"',
    b'{"Job": 7, "DrainSpec": 7, "Items": 7, "Lock": 7, "Name": 7, "Target": 7, "jobs": 7, "EvalOptions": 7}',
    b'{"Job": {"ID": "web", "TaskGroups": [{"Name": "g", "Count": "many"}]}, "Count": "x", "Items": {"a": 7}}',
)
SERVICES = {
    "AmazonSQS.ReceiveMessage": b'{"QueueUrl": "/interruptions", "MaxNumberOfMessages": "many"}',
    "AmazonSQS.DeleteMessageBatch": b'{"QueueUrl": "/interruptions", "Entries": [7]}',
    "AmazonSSM.GetParameter": b"[]",
    "AWSPriceListService.GetProducts": b'{"Filters": [7]}',
    "ServiceQuotasV20190624.GetServiceQuota": b"{",
    "DynamoDB_20120810.PutItem": b"{}",
}


def test_no_body_whatever_it_is_ends_the_simulated_nomad() -> None:
    async def work(wired: Running) -> None:
        http = Http(app=wired.app)
        for route in ROUTES:
            path = re.sub(r"\{\w+\*?\}", "web", route.path)
            for body in BODIES if route.method == "PUT" else (b"",):
                url = f"http://{wired.hosts[0]}:4646{path}"
                answer = await http.ask(Request(method=route.method, url=url, body=body, seconds=400))
                assert answer.status < 600
                assert "mistake" not in answer.text
        alive = await http.ask(Request(method="GET", url=f"http://{wired.hosts[0]}:4646/v1/nodes"))
        assert alive.status == 200

    running(work)


def test_no_parameters_whatever_they_are_end_the_simulated_account() -> None:
    async def work(doors: Doors) -> None:
        account = Ec2Wire(doors.world, LoopClock())
        for action in (*ACTIONS, "DescribeEverything"):
            for junk in ("", "&Filter.1.Name=x", "&InstanceId.1=&MaxResults=many", "&Filter.x=7&TagSpecification.1=7"):
                status, xml = account.answer(f"Action={action}{junk}".encode())
                assert status == 200 or b"<Code>" in xml, (action, junk)
        for target, body in SERVICES.items():
            told = account.tell(Asked(headers={"x-amz-target": target}, body=body))
            assert told.status == 400, target

    through_doors(a_world(), work)
