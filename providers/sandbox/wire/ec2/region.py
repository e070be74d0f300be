"""What a region has: images, subnets, types and where they are offered, spot prices; by EC2's operations."""

from __future__ import annotations

from typing import Final

from providers.sandbox.wire.ec2.listing import Asked, Values, matches, page
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.offerings import offered_in
from providers.sandbox.world.ec2.prices import spot_price
from schemas.catalogue import InstanceType

_ROOT_GIB: Final = 48
_NAMED_MOST: Final = 100


def describe_images(cloud: Cloud, asked: Asked) -> Values:
    """Show images, by id or all."""
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


def describe_spot_prices(cloud: Cloud, asked: Asked) -> Values:
    """Show the current price of each market that there is."""
    zones = [z for z in cloud.state.zones if matches(asked, {}, {"availability-zone": z}.__getitem__)]
    rows = [
        {
            "InstanceType": kind,
            "AvailabilityZone": zone,
            "SpotPrice": str(price),
            "Timestamp": cloud.kernel.calendar.to_datetime(cloud.kernel.now),
        }
        for kind in asked.get("InstanceTypes") or cloud.catalogue
        for zone in zones
        if (price := spot_price(cloud, kind, zone)) is not None
    ]
    shown, more = page(rows, asked)
    return {"SpotPriceHistory": shown, **more}


def describe_subnets(cloud: Cloud, asked: Asked) -> Values:
    """List subnets with their free addresses."""
    for subnet in asked.get("SubnetIds", ()):
        if subnet not in cloud.state.subnets:
            raise Ec2Error("InvalidSubnetID.NotFound", f"The subnet ID '{subnet}' does not exist")
    found = [s for s in cloud.state.subnets.values() if s.id in asked.get("SubnetIds", cloud.state.subnets)]
    wanted = [s for s in found if matches(asked, {}, {"subnet-id": s.id, "availability-zone": s.zone}.__getitem__)]
    shown, more = page(wanted, asked)
    return {
        "Subnets": [
            {
                "SubnetId": s.id,
                "AvailabilityZone": s.zone,
                "AvailableIpAddressCount": s.size - len(s.taken),
                "CidrBlock": f"{s.prefix}.0.0/20",
                "State": "available",
            }
            for s in shown
        ],
        **more,
    }


def describe_security_groups(cloud: Cloud, asked: Asked) -> Values:
    """List security groups."""
    for group in asked.get("GroupIds", ()):
        if group not in cloud.state.security_groups:
            raise Ec2Error("InvalidGroup.NotFound", f"The security group '{group}' does not exist")
    found = [g for g in cloud.state.security_groups if g in asked.get("GroupIds", cloud.state.security_groups)]
    wanted = [g for g in found if matches(asked, {}, {"group-id": g, "group-name": g}.__getitem__)]
    shown, more = page(wanted, asked)
    return {"SecurityGroups": [{"GroupId": g, "GroupName": g, "Description": g} for g in shown], **more}


def describe_zones(cloud: Cloud, _: Asked) -> Values:
    """List the zones of the account's one region."""
    region = cloud.state.region
    return {
        "AvailabilityZones": [{"ZoneName": z, "State": "available", "RegionName": region} for z in cloud.state.zones]
    }


def describe_regions(cloud: Cloud, _: Asked) -> Values:
    """List the account's one region."""
    return {"Regions": [{"RegionName": cloud.state.region, "OptInStatus": "opt-in-not-required"}]}


def describe_offerings(cloud: Cloud, asked: Asked) -> Values:
    """List which zone has which type."""
    if asked.get("LocationType") != "availability-zone":
        raise Ec2Error("InvalidParameterValue", "the simulated account knows offerings by availability-zone alone")
    rows = [
        {"InstanceType": kind, "LocationType": "availability-zone", "Location": zone}
        for zone in cloud.state.zones
        for kind in sorted(offered_in(cloud, zone))
        if matches(asked, {}, {"location": zone, "instance-type": kind}.__getitem__)
    ]
    shown, more = page(rows, asked)
    return {"InstanceTypeOfferings": shown, **more}


def describe_types(cloud: Cloud, asked: Asked) -> Values:
    """Describe types, by their names or all."""
    names = asked.get("InstanceTypes", ())
    if len(names) > _NAMED_MOST:
        raise Ec2Error("InvalidParameterValue", f"at most {_NAMED_MOST} types can be named")
    if unknown := [name for name in names if name not in cloud.catalogue]:
        raise Ec2Error("InvalidInstanceType", f"The following supplied instance types do not exist: {unknown}")
    shown, more = page([cloud.catalogue[name] for name in names or cloud.catalogue], asked)
    return {"InstanceTypes": [_described(kind) for kind in shown], **more}


def _described(kind: InstanceType) -> Values:
    clock = kind.cpu_mhz / kind.vcpu / 1000
    described: Values = {
        "InstanceType": kind.name,
        "CurrentGeneration": kind.current_generation,
        "SupportedUsageClasses": ["on-demand", *(["spot"] if kind.spot_supported else [])],
        "BareMetal": kind.bare_metal,
        "BurstablePerformanceSupported": kind.burstable,
        "ProcessorInfo": {"SupportedArchitectures": [kind.arch], "SustainedClockSpeedInGhz": clock},
        "VCpuInfo": {"DefaultVCpus": kind.vcpu, "DefaultCores": kind.cores},
        "MemoryInfo": {"SizeInMiB": kind.memory_mib},
    }
    if kind.local_nvme_gb:
        described["InstanceStorageInfo"] = {"TotalSizeInGB": kind.local_nvme_gb, "NvmeSupport": "required"}
    if kind.gpu_count:
        maker, _, name = kind.gpu_name.partition(" ")
        gpu = {"Name": name, "Manufacturer": maker, "Count": kind.gpu_count}
        described["GpuInfo"] = {"Gpus": [gpu], "TotalGpuMemoryInMiB": kind.gpu_memory_mib}
    if kind.accelerator_count:
        described["InferenceAcceleratorInfo"] = {"Accelerators": [{"Count": kind.accelerator_count}]}
    return described
