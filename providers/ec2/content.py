"""Our launch templates in the shape of EC2's ``LaunchTemplateData``, and back; the sandbox's door writes the same."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.faults import Refusal, RefusedError, Source
from schemas.world import TAG_ROLE, Role, Template

Json = dict[str, Any]

TAGGED: Final = ("instance", "volume", "network-interface")
"""What a launch makes and a template tags; tags for spot requests would be refused to on-demand launches."""


USER_DATA_MOST: Final = 16_384
"""Bytes of user data that EC2 takes, before base64 makes them more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootVolume:
    """The root volume as an image has it: its device's name differs by image ("/dev/sda1", "/dev/xvda")."""

    device: str
    gib: int

    def encrypted(self) -> Json:
        """Ask for it encrypted, and gone with its machine; a name that is not the image's would be a second volume."""
        volume = {"Encrypted": True, "VolumeType": "gp3", "VolumeSize": self.gib, "DeleteOnTermination": True}
        return {"DeviceName": self.device, "Ebs": volume}


def launch_template_data(template: Template, *, root: RootVolume | None = None) -> Json:
    """Write a template's content; what is empty is left out, for EC2 refuses empty lists and texts.

    With ``root``, the image's root volume, that volume will be encrypted gp3; without, it stays as the image says.
    All metadata options are stated: an account's defaults may differ.
    """
    data: Json = {
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
            "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "enabled",
        },
        "TagSpecifications": tag_specifications(template.tags),
    }
    if template.image_id:
        data["ImageId"] = template.image_id
    if template.user_data:
        data["UserData"] = base64.b64encode(template.user_data.encode()).decode()
    if template.instance_profile:
        data["IamInstanceProfile"] = profile(template.instance_profile)
    if template.tags.get(TAG_ROLE) == Role.CLIENT:  # EC2's default leaves a stopped machine; servers may come back
        data["InstanceInitiatedShutdownBehavior"] = "terminate"
    if template.tags.get(TAG_ROLE) == Role.SERVER:  # against slips of whoever may end machines; we lift it first
        data["DisableApiTermination"] = True
    if root is not None:
        data["BlockDeviceMappings"] = [root.encrypted()]
    if template.subnet_id is not None:  # EC2 wants the groups beside the subnet then
        network: Json = {"DeviceIndex": 0, "SubnetId": template.subnet_id, "DeleteOnTermination": True}
        data["NetworkInterfaces"] = [network | _listed("Groups", template.security_groups)]
    else:
        data |= _listed("SecurityGroupIds", template.security_groups)
    if template.instance_type is not None:
        data["InstanceType"] = template.instance_type
    return data


def refuse_too_long(template: Template, what: str) -> None:
    """Refuse user data that EC2 would refuse at the launch, which is later and says no figures.

    Raises RefusedError(SPECIFICATION).
    """
    if (size := len(template.user_data.encode())) > USER_DATA_MOST:
        told = (
            f"the user data has {size:,} bytes, EC2 takes {USER_DATA_MOST:,}: shorten agentConfig, or fetch it at boot"
        )
        raise RefusedError(Source.EC2, what, told, why=Refusal.SPECIFICATION, code="InvalidUserData.Malformed")


def template_from(name: str, data: Mapping[str, Any]) -> Template:
    """Read a template from what EC2 stored under its name."""
    network = (data.get("NetworkInterfaces") or [{}])[0]
    profile_of = data.get("IamInstanceProfile") or {}
    return Template(
        name=name,
        image_id=data.get("ImageId", ""),
        user_data=base64.b64decode(data.get("UserData", "")).decode(),
        security_groups=tuple(network.get("Groups") or data.get("SecurityGroupIds") or ()),
        instance_profile=profile_of.get("Name") or profile_of.get("Arn") or "",
        tags=_instance_tags(data),
        instance_type=data.get("InstanceType"),
        subnet_id=network.get("SubnetId"),
    )


def _instance_tags(data: Mapping[str, Any]) -> dict[str, str]:
    """Give the tags that a template puts on instances."""
    wanted = (s["Tags"] for s in data.get("TagSpecifications", ()) if s["ResourceType"] == "instance")
    return {tag["Key"]: tag["Value"] for tags in wanted for tag in tags}


def tag_specifications(tags: Mapping[str, str], resources: tuple[str, ...] = TAGGED) -> list[Json]:
    """Write tags for all that is made in one call; none at all when there are none."""
    pairs = [{"Key": key, "Value": value} for key, value in sorted(tags.items())]
    return [{"ResourceType": resource, "Tags": pairs} for resource in resources] if pairs else []


def profile(name_or_arn: str) -> Json:
    """Name an instance profile."""
    return {"Arn" if name_or_arn.startswith("arn:") else "Name": name_or_arn}


def _listed(key: str, values: tuple[str, ...]) -> Json:
    return {key: list(values)} if values else {}
