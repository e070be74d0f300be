"""What we send to EC2: pure, and the same bytes whenever the same thing is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from providers.ec2.content import RootVolume, launch_template_data, tag_specifications
from schemas.world import TAG, TAG_CLUSTER, FleetRequest, Market, Template

Json = dict[str, Any]

VERSION: Final = "1"
"""Templates have one version: their names end in a hash of their content."""
_OF_A_FLEET: Final = ("instance", "volume", "fleet")  # interfaces are tagged by the template


def launch_template(group: str, template: Template, *, root: RootVolume | None) -> Json:
    """Ask for a launch template; it carries the document's tags and the group's, not those of its machines."""
    tags = {key: value for key, value in template.tags.items() if not key.startswith(TAG)} | {TAG_CLUSTER: group}
    return {
        "LaunchTemplateName": template.name,
        "LaunchTemplateData": launch_template_data(template, root=root),
        "TagSpecifications": tag_specifications(tags, ("launch-template",)),
    }


def run_instances(template: Template, tags: Mapping[str, str], *, token: str, root: RootVolume | None) -> Json:
    """Ask for exactly one on-demand machine with a template's content, type and subnet included."""
    asked = launch_template_data(template, root=root)
    asked["TagSpecifications"] = tag_specifications({**template.tags, **tags})
    if template.user_data:
        asked["UserData"] = template.user_data  # boto3 encodes it in this call, and in this call alone
    return {"ClientToken": token, "MinCount": 1, "MaxCount": 1, **asked}


def create_fleet(request: FleetRequest, template_tags: Mapping[str, str]) -> Json:
    """Ask for machines from any of the overrides. Their zone is named beside the subnet so that errors echo it.

    All tags are in the request, those of the template too: which of the two wins is then no question.
    """
    overrides = [
        {"InstanceType": o.instance_type, "SubnetId": o.subnet_id, "AvailabilityZone": o.zone}
        for o in request.overrides
    ]
    spot = request.market is Market.SPOT
    return {
        "Type": "instant",
        "ClientToken": request.token,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {"LaunchTemplateName": request.template, "Version": VERSION},
                "Overrides": overrides,
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": request.count,
            "DefaultTargetCapacityType": str(request.market),
        },
        **(
            {"SpotOptions": {"AllocationStrategy": "price-capacity-optimized"}}
            if spot
            else {"OnDemandOptions": {"AllocationStrategy": "lowest-price"}}
        ),
        "TagSpecifications": tag_specifications({**template_tags, **request.tags}, _OF_A_FLEET),
    }


def with_tag(key: str, value: str) -> list[Json]:
    """Filter by a tag's exact value: ``*`` and ``?`` are wildcards to EC2, and are escaped."""
    literal = "".join(f"\\{char}" if char in "*?\\" else char for char in value)
    return [{"Name": f"tag:{key}", "Values": [literal]}]
