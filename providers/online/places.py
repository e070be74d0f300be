"""What a document names in EC2: subnets, security groups, images; whether it is there, and what the document says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from providers.online.account import AT, Account, No, Silence, not_told
from schemas.checks import Check, ok, problem

FEW: Final = 8
"""Free addresses below which a subnet is as good as full."""
PARAMETER: Final = "ssm:"
S3: Final = "s3://"


async def check_subnets(account: Account, zones: Mapping[str, str]) -> list[Check]:
    """Look at subnets; ``zones`` says where each should be. Also says when they are not all in one network."""
    asked: list[Any] = [{"Name": "subnet-id", "Values": sorted(zones)}]
    try:
        rows = await account.ask(
            lambda: list(
                _rows(account.clients.ec2().get_paginator("describe_subnets").paginate(Filters=asked), "Subnets")
            )
        )
    except (No, Silence) as error:
        return [not_told("subnets", error, right="ec2:DescribeSubnets", ours=True)]
    found = {row["SubnetId"]: row for row in rows}
    checks = [_subnet(name, zone, found.get(name), account.clients.region) for name, zone in zones.items()]
    networks = sorted({row.get("VpcId", "") for row in rows})
    if len(networks) > 1:
        mend = "name subnets of one VPC: security groups are those of one"
        checks.append(problem(AT, "subnets", f"they are in several VPCs: {', '.join(networks)}", mend))
    return checks


def _subnet(name: str, zone: str, row: Mapping[str, Any] | None, region: str) -> Check:
    what = f"subnet {name}"
    if row is None:
        return problem(AT, what, f"there is none in {region}", "mend aws.subnets, or aws.region")
    if row["AvailabilityZone"] != zone:
        mend = f"write zone: {row['AvailabilityZone']}"
        return problem(AT, what, f"is in {row['AvailabilityZone']}, and the document says {zone}", mend)
    free = row.get("AvailableIpAddressCount", 0)
    if free < FEW:
        return problem(AT, what, f"has {free} free addresses", "name another subnet of that zone, or free some")
    return ok(AT, what, f"{zone}, {free:,} free addresses")


async def check_security_groups(account: Account, groups: Sequence[str]) -> list[Check]:
    """Look at security groups; the program itself never does."""
    if not groups:
        return []
    asked: list[Any] = [{"Name": "group-id", "Values": sorted(groups)}]
    try:
        rows = await account.ask(
            lambda: account.clients.ec2().describe_security_groups(Filters=asked)["SecurityGroups"]
        )
    except (No, Silence) as error:
        return [not_told("security groups", error, right="ec2:DescribeSecurityGroups", ours=False)]
    there = {row["GroupId"]: row.get("GroupName", "") for row in rows}
    return [
        ok(AT, f"security group {name}", there[name])
        if name in there
        else problem(
            AT, f"security group {name}", f"there is none in {account.clients.region}", "mend aws.securityGroups"
        )
        for name in groups
    ]


async def check_images(account: Account, images: Sequence[tuple[str, str]]) -> list[Check]:
    """Look at images, each with the architecture that it should have."""
    return [await _image(account, arch, image) for arch, image in images]


async def _image(account: Account, arch: str, image: str) -> Check:
    what = f"image {image}"
    try:
        named = await image_id(account, image)
    except (No, Silence) as error:
        if isinstance(error, No) and error.code == "ParameterNotFound":
            return problem(AT, what, f"there is no such parameter in {account.clients.region}", "mend machine.images")
        return not_told(what, error, right="ssm:GetParameter", ours=True)
    try:
        rows = await account.ask(lambda: account.clients.ec2().describe_images(ImageIds=[named])["Images"])
    except (No, Silence) as error:
        if not (isinstance(error, No) and error.code.startswith("InvalidAMIID")):
            return not_told(what, error, right="ec2:DescribeImages", ours=True)
        rows = []
    if not rows:
        found = f"{named} does not exist in {account.clients.region}, or is not shared with this account"
        return problem(AT, what, found, "mend machine.images, or share the image")
    has, state = rows[0].get("Architecture", ""), rows[0].get("State", "available")
    if has != arch:
        return problem(AT, what, f"is for {has}, and the document says {arch}", f"name an image for {arch}")
    if state != "available":
        return problem(AT, what, f"is {state}", "wait until it is available, or name another")
    return ok(AT, what, arch if named == image else f"{arch}, {named} now")


async def check_addresses(account: Account, addresses: Sequence[str]) -> list[Check]:
    """Look whether Elastic IPs are there; whose they are now is the program's own look."""
    if not addresses:
        return []
    try:
        rows = await account.ask(lambda: account.clients.ec2().describe_addresses()["Addresses"])
    except (No, Silence) as error:
        return [not_told("Elastic IPs", error, right="ec2:DescribeAddresses", ours=True)]
    there = {row.get("AllocationId", ""): row.get("PublicIp", "") for row in rows}
    return [
        ok(AT, f"Elastic IP {name}", there[name])
        if name in there
        else problem(AT, f"Elastic IP {name}", f"there is none in {account.clients.region}", "mend servers.elasticIps")
        for name in addresses
    ]


async def check_snapshots(account: Account, place: str | None) -> list[Check]:
    """Look whether the place of snapshots may be listed; whether it may be written is seen at the first one."""
    if place is None or not place.startswith(S3):
        return []
    bucket, _, prefix = place.removeprefix(S3).strip("/").partition("/")
    what, below = f"snapshots {place}", f"{prefix}/" if prefix else ""
    try:
        await account.ask(lambda: account.clients.s3().list_objects_v2(Bucket=bucket, Prefix=below, MaxKeys=1))
    except (No, Silence) as error:
        if isinstance(error, No) and error.code == "NoSuchBucket":
            return [problem(AT, what, "there is no such bucket", "make it, or mend servers.snapshots.to")]
        return [not_told(what, error, right="s3:ListBucket", ours=True)]
    return [ok(AT, what, "may be listed")]


async def image_id(account: Account, image: str) -> str:
    """Give the id of an image, which a parameter may hold. Raises No, Silence."""
    if not image.startswith(PARAMETER):
        return image
    answer = await account.ask(lambda: account.clients.ssm().get_parameter(Name=image.removeprefix(PARAMETER)))
    return str(answer["Parameter"].get("Value", ""))


def _rows(pages: Any, key: str) -> Any:
    for page in pages:
        yield from page[key]
