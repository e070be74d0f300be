"""What our credentials may do at AWS: dry runs of the program's own calls, and looks at the queue and the prices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from botocore import xform_name

from providers.ec2 import requests
from providers.online.account import AT, Account, No, Silence, not_told
from providers.online.places import image_id
from schemas.checks import Check, ok, problem, unknown
from schemas.world import Template

POLICY: Final = "`reconcile iam --only reconciler` prints the policy that allows it"
_KEY: Final = "nomad-reconciler-dry-run"
_MISSING_QUEUE: Final = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})


async def check_looking(account: Account, actions: Sequence[str]) -> list[Check]:
    """Dry-run the reads of EC2 that the program makes: ``ec2:Describe…``."""
    denied: list[str] = []
    for action in sorted(a.removeprefix("ec2:") for a in actions if a.startswith("ec2:Describe")):
        client: Any = account.clients.ec2()
        try:
            await account.would(lambda client=client, action=action: getattr(client, xform_name(action))(DryRun=True))  # type: ignore[misc]
        except Silence as error:
            return [not_told("reading EC2", error, right=f"ec2:{action}", ours=True)]
        except No as no:
            if no.denied:
                denied.append(action)
    if denied:
        return [problem(AT, "reading EC2", f"denied: {', '.join(denied)}", POLICY)]
    return [ok(AT, "reading EC2", "allowed")]


async def check_launching(account: Account, launches: Mapping[str, Template], group: str) -> list[Check]:
    """Dry-run a launch of each kind of machine, and the making of its template; templates name type and subnet."""
    checks = [await _launch(account, kind, template) for kind, template in launches.items()]
    if launches:
        checks.append(await _template(account, group, next(iter(launches.values()))))
    return checks


async def _launch(account: Account, kind: str, template: Template) -> Check:
    what = f"launching {kind}"
    try:
        pinned = replace(template, image_id=await image_id(account, template.image_id))
    except (No, Silence):
        return unknown(AT, what, "not looked at: its image is not known, see above")
    asked = requests.run_instances(pinned, {}, token=_KEY, root=None)
    try:
        await account.would(lambda: account.clients.ec2(writes=True).run_instances(DryRun=True, **asked))
    except Silence as error:
        return not_told(what, error, right="ec2:RunInstances", ours=True)
    except No as no:
        if no.denied:
            return problem(
                AT, what, f"denied: {_short(no.message)}", f"{POLICY} (LaunchFrom, LaunchTagged, TagOnCreate, PassRole)"
            )
        return problem(AT, what, f"EC2 would say no: {no}", "mend what it names: the document, or the account")
    return ok(AT, what, f"allowed ({template.instance_type} in {template.subnet_id})")


async def _template(account: Account, group: str, template: Template) -> Check:
    what = "making launch templates"
    asked = requests.launch_template(group, template, root=None)
    try:
        await account.would(lambda: account.clients.ec2(writes=True).create_launch_template(DryRun=True, **asked))
    except Silence as error:
        return not_told(what, error, right="ec2:CreateLaunchTemplate", ours=True)
    except No as no:
        if no.denied:
            return problem(AT, what, "denied", f"{POLICY} (TemplateTagged, TagOnCreate)")
        return problem(AT, what, f"EC2 would say no: {no}", "mend what it names")
    return ok(AT, what, "allowed")


async def check_fleet(account: Account, template: str | None, subnet: str, instance_type: str) -> list[Check]:
    """Dry-run a fleet from a template of the group that is there; without one there is nothing to ask with."""
    what = "launching fleets"
    if template is None:
        return [unknown(AT, what, "not looked at: the group has no launch template yet")]
    place = {"InstanceType": instance_type, "SubnetId": subnet}
    configs = [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateName": template, "Version": requests.VERSION},
            "Overrides": [place],
        }
    ]
    asked: dict[str, Any] = {
        "Type": "instant",
        "LaunchTemplateConfigs": configs,
        "TargetCapacitySpecification": {"TotalTargetCapacity": 1, "DefaultTargetCapacityType": "on-demand"},
    }
    try:
        await account.would(lambda: account.clients.ec2(writes=True).create_fleet(DryRun=True, **asked))
    except (No, Silence) as error:
        return [not_told(what, error, right="ec2:CreateFleet", ours=True)]
    return [ok(AT, what, "allowed")]


async def check_queue(account: Account, url: str | None) -> list[Check]:
    """Look at the interruption queue; where its attributes may not be read, a message is looked at and stays."""
    if url is None:
        return []
    what, client = f"queue {url}", account.clients.sqs()
    try:
        answer = await account.ask(
            lambda: client.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
        )
    except (No, Silence) as error:
        if isinstance(error, No) and error.code in _MISSING_QUEUE:
            return [problem(AT, what, "there is none", "mend aws.interruptionQueue, or make the queue and its rules")]
        if not (isinstance(error, No) and (error.denied or error.code == "InvalidAction")):
            return [not_told(what, error, right="sqs:ReceiveMessage", ours=True)]
    else:
        waiting = answer.get("Attributes", {}).get("ApproximateNumberOfMessages", "?")
        return [ok(AT, what, f"there; {waiting} messages wait")]
    try:
        await account.ask(lambda: client.receive_message(QueueUrl=url, VisibilityTimeout=0, WaitTimeSeconds=0))
    except (No, Silence) as error:
        return [not_told(what, error, right="sqs:ReceiveMessage", ours=True)]
    return [ok(AT, what, "may be read")]


async def check_prices(account: Account) -> list[Check]:
    """Look whether the Price List answers; without it the shipped table stands in."""
    what = "on-demand prices"
    try:
        await account.ask(lambda: account.clients.pricing().get_products(ServiceCode="AmazonEC2", MaxResults=1))
    except No as no:
        if no.denied:
            return [problem(AT, what, "pricing:GetProducts is denied: the shipped table would be used", POLICY)]
        return [not_told(what, no, right="pricing:GetProducts", ours=True)]
    except Silence as error:
        found = f"the Price List does not answer ({error}): the shipped table would be used"
        return [problem(AT, what, found, "let this machine reach it, or live with prices of the table's date")]
    return [ok(AT, what, "the Price List answers")]


def _short(text: str) -> str:
    """Leave out the encoded reason that EC2 adds."""
    return text.partition(" Encoded authorization")[0]
