"""What an operator does with the AWS CLI in the simulated account is seen by the program there."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from support.ec2_doors import Inside, shared_clients, through
from support.whole_world import a_server_template, a_world

REMOVE = {"Key": "nomad-reconciler:remove", "Value": "yes"}


def test_tags_that_are_set_and_taken_away_by_hand_are_seen() -> None:
    async def work(inside: Inside) -> None:
        made = await inside.ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
        await inside.clock.sleep(60)
        account = shared_clients().ec2(writes=True)

        async def seen() -> str | None:
            (instance,) = await inside.ec2.instances("demo")
            return instance.tags.get("nomad-reconciler:remove")

        account.create_tags(Resources=[made.id], Tags=[REMOVE])  # type: ignore[list-item]
        assert await seen() == "yes"
        account.delete_tags(Resources=[made.id], Tags=[{"Key": REMOVE["Key"], "Value": "no"}])
        assert await seen() == "yes", "it has another value"
        account.delete_tags(Resources=[made.id], Tags=[{"Key": REMOVE["Key"]}])
        assert await seen() is None
        assert account.get_console_output(InstanceId=made.id)["InstanceId"] == made.id
        with pytest.raises(ClientError, match=r"InvalidInstanceID\.NotFound"):
            account.create_tags(Resources=["i-00000000000000000"], Tags=[REMOVE])  # type: ignore[list-item]

    through("wire", a_world(), work)
