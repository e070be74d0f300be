"""EC2's operations on the simulated account: parameters in, answers out, both named as in botocore's model."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from providers.sandbox.doors.ec2 import order_from
from providers.sandbox.world.ec2.addresses import associate, elastic_ip, released
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.describe import describe_by_id, describe_instances
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.fleet import FleetOrder, create_fleet
from providers.sandbox.world.ec2.launch import run_instance
from providers.sandbox.world.ec2.lifecycle import protect, terminate
from providers.sandbox.world.ec2.prices import spot_price
from providers.sandbox.world.ec2.state import (
    ON_DEMAND,
    PENDING,
    RUNNING,
    SPOT,
    ElasticIp,
    FleetError,
    FleetPool,
    Instance,
)
from providers.sandbox.world.ec2.templates import create_template, delete_template, describe_templates, template_of
from providers.sandbox.world.epoch import to_datetime

Values = dict[str, Any]
Asked = Mapping[str, Any]

_PAGE: Final = 1000
_ROOT_GIB: Final = 48
_CODES: Final = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


def _describe_instances(cloud: Cloud, asked: Asked) -> Values:
    ids = asked.get("InstanceIds")
    found = describe_by_id(cloud, ids) if ids else describe_instances(cloud, tags={})
    wanted = [i for i in found if _matches(asked, i.tags, partial(_of_instance, i))]
    page, more = _page(wanted, asked)
    return {"Reservations": [{"Instances": [_instance(i)]} for i in page], **more}


def _of_instance(instance: Instance, name: str) -> str:
    match name:
        case "instance-state-name":
            return instance.state
        case "instance-id":
            return instance.id
        case "client-token":
            return instance.client_token
        case _:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _instance(instance: Instance) -> Values:
    shown: Values = {
        "InstanceId": instance.id,
        "ImageId": instance.image,
        "InstanceType": instance.type,
        "State": {"Code": _CODES[instance.state], "Name": instance.state},
        "LaunchTime": to_datetime(instance.launched_at),
        "Placement": {"AvailabilityZone": instance.zone},
        "SubnetId": instance.subnet,
        "PrivateIpAddress": instance.private_ip,
        "ClientToken": instance.client_token,
        "Tags": _tags(instance.tags),
        "InstanceLifecycle": SPOT if instance.market == SPOT else None,
    }
    if instance.state not in {PENDING, RUNNING}:
        shown["StateReason"] = {"Code": instance.state_reason, "Message": instance.state_message}
    return shown


def _run_instances(cloud: Cloud, asked: Asked) -> Values:
    order = order_from(dict(asked), {}, market=ON_DEMAND, template="")
    return {"Instances": [_instance(run_instance(cloud, order, token=asked.get("ClientToken", "")))]}


def _terminate(cloud: Cloud, asked: Asked) -> Values:
    ended = terminate(cloud, asked["InstanceIds"])
    return {
        "TerminatingInstances": [
            {"InstanceId": i.id, "CurrentState": {"Code": _CODES[i.state], "Name": i.state}} for i in ended
        ]
    }


def _modify_attribute(cloud: Cloud, asked: Asked) -> Values:
    """Change what of an instance can be changed here: its termination protection."""
    if (protection := asked.get("DisableApiTermination")) is None:
        raise Ec2Error("InvalidParameterValue", "the simulated account changes disableApiTermination alone")
    protect(cloud, asked["InstanceId"], on=protection["Value"])
    return {}


def _describe_attribute(cloud: Cloud, asked: Asked) -> Values:
    instance, name = cloud.instance(asked["InstanceId"]), asked["Attribute"]
    match name:
        case "disableApiTermination":
            told: Values = {"DisableApiTermination": {"Value": instance.protected}}
        case "userData":
            text = cloud.state.user_data.get(instance.user_data, "").encode()
            told = {"UserData": {"Value": base64.b64encode(text).decode()} if text else {}}
        case "instanceInitiatedShutdownBehavior":
            told = {"InstanceInitiatedShutdownBehavior": {"Value": instance.shutdown_behavior}}
        case _:
            raise Ec2Error("InvalidParameterValue", f"the simulated account does not tell the attribute {name}")
    return {"InstanceId": instance.id, **told}


def _describe_addresses(cloud: Cloud, asked: Asked) -> Values:
    ids = asked.get("AllocationIds")
    found = [elastic_ip(cloud, i) for i in ids] if ids else list(cloud.state.elastic_ips.values())
    wanted = [a for a in found if _matches(asked, {}, partial(_of_address, a))]
    return {"Addresses": [_address(a) for a in wanted]}


def _of_address(address: ElasticIp, name: str) -> str:
    match name:
        case "allocation-id":
            return address.allocation
        case "association-id":
            return address.association
        case "instance-id":
            return address.instance
        case "public-ip":
            return address.public_ip
        case _:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name}' is invalid")


def _address(address: ElasticIp) -> Values:
    return {
        "AllocationId": address.allocation,
        "PublicIp": address.public_ip,
        "Domain": "vpc",
        "InstanceId": address.instance or None,
        "AssociationId": address.association or None,
    }


def _associate(cloud: Cloud, asked: Asked) -> Values:
    reassociate = asked.get("AllowReassociation", False)
    return {
        "AssociationId": associate(
            cloud, asked["AllocationId"], asked["InstanceId"], reassociate=reassociate
        ).association
    }


def _disassociate(cloud: Cloud, asked: Asked) -> Values:
    found = next((a for a in cloud.state.elastic_ips.values() if a.association == asked["AssociationId"]), None)
    if found is None:
        raise Ec2Error("InvalidAssociationID.NotFound", f"The association ID '{asked['AssociationId']}' does not exist")
    released(cloud, found.instance)
    return {"Return": True}


def _describe_status(cloud: Cloud, asked: Asked) -> Values:
    """Show running machines; the simulated account knows one check, which stands for both of EC2's."""
    running = [i for i in cloud.state.instances.values() if i.state == RUNNING and i.visible_at <= cloud.kernel.now]

    wanted = [i for i in running if _matches(asked, {}, partial(_of_status, i))]
    shown = [{"InstanceId": i.id, "InstanceStatus": {"Status": _of_status(i)}} for i in wanted]
    return {"InstanceStatuses": shown}


def _of_status(instance: Instance, _: str = "") -> str:
    return "impaired" if instance.impaired else "ok"


def _create_fleet(cloud: Cloud, asked: Asked) -> Values:
    if asked.get("Type") != "instant":
        raise Ec2Error("InvalidParameterValue", "the simulated account makes instant fleets alone")
    (config,) = asked["LaunchTemplateConfigs"]
    name = config["LaunchTemplateSpecification"]["LaunchTemplateName"]
    target = asked["TargetCapacitySpecification"]
    tags = {t["Key"]: t["Value"] for s in asked.get("TagSpecifications", ()) for t in s["Tags"]
            if s["ResourceType"] == "instance"}  # fmt: skip
    machine = order_from(
        template_of(cloud, name).content, tags, market=target["DefaultTargetCapacityType"], template=name
    )
    pools = tuple((o["InstanceType"], o["SubnetId"]) for o in config.get("Overrides", ()))
    order = FleetOrder(machine=machine, pools=pools, count=target["TotalTargetCapacity"])
    fleet = create_fleet(cloud, order, token=asked.get("ClientToken", ""))
    return {
        "FleetId": fleet.id,
        "Instances": [
            {**_place(pool), "InstanceIds": pool.instances, "InstanceType": pool.type} for pool in fleet.pools
        ],
        "Errors": [{**_place(e), "ErrorCode": e.code, "ErrorMessage": e.message} for e in fleet.errors],
    }


def _place(of: FleetPool | FleetError) -> Values:
    overrides = {"InstanceType": of.type, "SubnetId": of.subnet, "AvailabilityZone": of.zone}
    return {"LaunchTemplateAndOverrides": {"Overrides": overrides}, "Lifecycle": of.market}


def _create_template(cloud: Cloud, asked: Asked) -> Values:
    tags = {t["Key"]: t["Value"] for s in asked.get("TagSpecifications", ()) for t in s["Tags"]}
    made = create_template(cloud, asked["LaunchTemplateName"], dict(asked["LaunchTemplateData"]), tags)
    return {"LaunchTemplate": {"LaunchTemplateId": made.id, "LaunchTemplateName": made.name, "Tags": _tags(tags)}}


def _describe_templates(cloud: Cloud, asked: Asked) -> Values:
    wanted = [t for t in describe_templates(cloud) if _matches(asked, t.tags, lambda _: "")]
    page, more = _page(wanted, asked)
    shown = [{"LaunchTemplateId": t.id, "LaunchTemplateName": t.name, "Tags": _tags(t.tags)} for t in page]
    return {"LaunchTemplates": shown, **more}


def _describe_versions(cloud: Cloud, asked: Asked) -> Values:
    found = template_of(cloud, asked["LaunchTemplateName"])
    version = {"LaunchTemplateName": found.name, "VersionNumber": 1, "LaunchTemplateData": found.content}
    return {"LaunchTemplateVersions": [version]}


def _delete_template(cloud: Cloud, asked: Asked) -> Values:
    delete_template(cloud, asked["LaunchTemplateName"])
    return {"LaunchTemplate": {"LaunchTemplateName": asked["LaunchTemplateName"]}}


def _describe_images(cloud: Cloud, asked: Asked) -> Values:
    for image in asked.get("ImageIds", ()):
        if image not in cloud.state.images:
            raise Ec2Error("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
    root = {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": _ROOT_GIB}}
    shown = [
        {
            "ImageId": image.id,
            "Architecture": image.arch,
            "RootDeviceName": root["DeviceName"],
            "BlockDeviceMappings": [root],
        }
        for image in cloud.state.images.values()
        if image.id in asked.get("ImageIds", cloud.state.images)
    ]
    return {"Images": shown}


def _spot_prices(cloud: Cloud, asked: Asked) -> Values:
    zones = [z for z in cloud.state.zones if _matches(asked, {}, {"availability-zone": z}.__getitem__)]
    rows = [
        {
            "InstanceType": kind,
            "AvailabilityZone": zone,
            "SpotPrice": str(price),
            "Timestamp": to_datetime(cloud.kernel.now),
        }
        for kind in asked.get("InstanceTypes") or cloud.catalogue
        for zone in zones
        if (price := spot_price(cloud, kind, zone)) is not None
    ]
    page, more = _page(rows, asked)
    return {"SpotPriceHistory": page, **more}


# --- filters and pages


def _matches(asked: Asked, tags: Mapping[str, str], attribute: Callable[[str], str]) -> bool:
    """Apply filters, which are ANDed; ``*`` and ``?`` in a value are wildcards unless escaped."""
    for wanted in asked.get("Filters", ()):
        name, values = wanted["Name"], wanted["Values"]
        has = tags.get(name.removeprefix("tag:")) if name.startswith("tag:") else attribute(name)
        if has is None or not any(_pattern(value).fullmatch(has) for value in values):
            return False
    return True


def _pattern(value: str) -> re.Pattern[str]:
    parts = re.findall(r"\\.|.", value, flags=re.DOTALL)
    wild = {"*": ".*", "?": "."}
    return re.compile("".join(wild.get(p) or re.escape(p[-1]) for p in parts), flags=re.DOTALL)


def _page(found: Sequence[Any], asked: Asked) -> tuple[Sequence[Any], Values]:
    start, size = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or _PAGE)
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return found[start : start + size], more


def _tags(tags: Mapping[str, str]) -> list[Values]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


ACTIONS: Final[Mapping[str, Callable[[Cloud, Asked], Values]]] = {
    "AssociateAddress": _associate,
    "CreateFleet": _create_fleet,
    "CreateLaunchTemplate": _create_template,
    "DeleteLaunchTemplate": _delete_template,
    "DescribeAddresses": _describe_addresses,
    "DescribeImages": _describe_images,
    "DescribeInstanceAttribute": _describe_attribute,
    "DescribeInstanceStatus": _describe_status,
    "DescribeInstances": _describe_instances,
    "DescribeLaunchTemplateVersions": _describe_versions,
    "DescribeLaunchTemplates": _describe_templates,
    "DescribeSpotPriceHistory": _spot_prices,
    "DisassociateAddress": _disassociate,
    "ModifyInstanceAttribute": _modify_attribute,
    "RunInstances": _run_instances,
    "TerminateInstances": _terminate,
}
