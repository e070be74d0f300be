"""The EC2 port into the simulated account."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from providers.ec2.codes import fault_of, refusal_of
from providers.ec2.content import launch_template_data, refuse_too_long, template_from
from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.world.ec2 import state as account
from providers.sandbox.world.ec2.addresses import associate
from providers.sandbox.world.ec2.describe import checks_of, describe_instances, describe_status, status_of
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.fleet import FleetOrder, create_fleet
from providers.sandbox.world.ec2.images import image_by_parameter
from providers.sandbox.world.ec2.launch import MachineOrder, run_instance
from providers.sandbox.world.ec2.lifecycle import protect, terminate
from providers.sandbox.world.ec2.offerings import offered_in
from providers.sandbox.world.ec2.prices import spot_price
from providers.sandbox.world.ec2.templates import create_template, delete_template, describe_templates, template_of
from providers.sandbox.world.ec2.throttle import spend
from providers.sandbox.world.ec2.trouble import TAKEN, due, events_ahead, request_status, running, spot_machines
from providers.sandbox.world.epoch import Calendar
from schemas.faults import Refusal, RefusedError, Source
from schemas.supply import Supply
from schemas.trouble import ScheduledEvent, Trouble
from schemas.world import TAG_CLUSTER, Address, FleetAnswer, FleetError, FleetRequest, Instance, Market, Template

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from providers.sandbox.world.ec2.context import Cloud
    from providers.sandbox.world.world import World

Json = dict[str, Any]


class SandboxEc2:
    """EC2 as one group sees it: lists hold what carries its tag."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock

    async def instances(self, group: str) -> tuple[Instance, ...]:
        """List the group's instances in every state; new ones may lag."""
        with self._request("DescribeInstances") as cloud:
            return tuple(
                instance_of(i, cloud.kernel.calendar) for i in describe_instances(cloud, tags={TAG_CLUSTER: group})
            )

    async def template_names(self, group: str) -> frozenset[str]:
        """List the names of the group's launch templates."""
        with self._request("DescribeLaunchTemplates") as cloud:
            return frozenset(t.name for t in describe_templates(cloud) if t.tags.get(TAG_CLUSTER) == group)

    async def template(self, name: str) -> Template | None:
        """Read one launch template."""
        with self._request("DescribeLaunchTemplateVersions", name) as cloud:
            found = describe_templates(cloud, name=name)
        return template_from(name, found[0].content) if found else None

    async def create_template(self, group: str, template: Template) -> None:
        """Make a launch template; a name that is taken is refused."""
        refuse_too_long(template, f"CreateLaunchTemplate {template.name}")
        with self._request("CreateLaunchTemplate", template.name, writes=True) as cloud:
            stored = replace(template, image_id=_image(cloud, template))
            create_template(cloud, template.name, launch_template_data(stored), {TAG_CLUSTER: group})

    async def delete_template(self, name: str) -> None:
        """Delete a launch template; one that is not there is deleted."""
        with self._request("DeleteLaunchTemplate", name, writes=True) as cloud:
            if describe_templates(cloud, name=name):
                delete_template(cloud, name)

    async def run_instance(self, template: Template, *, token: str, tags: Mapping[str, str]) -> Instance:
        """Launch one on-demand instance; under one token it is the same one."""
        refuse_too_long(template, f"RunInstances {template.name}")
        with self._request("RunInstances", template.name, writes=True) as cloud:
            stored = replace(template, image_id=_image(cloud, template))
            order = order_from(launch_template_data(stored), tags, market=account.ON_DEMAND, template=template.name)
            return instance_of(run_instance(cloud, order, token=token), cloud.kernel.calendar)

    async def terminate(self, instance_ids: Sequence[str]) -> None:
        """End machines; one that ends already is ended. One that EC2 does not know, or that is protected, is alone."""
        refused: list[RefusedError] = []
        batches = [list(instance_ids)]
        while batches:
            batch = batches.pop(0)
            try:
                with self._request("TerminateInstances", ", ".join(batch), writes=True) as cloud:
                    terminate(cloud, batch)
            except RefusedError as no:
                if len(batch) == 1:
                    refused.append(no)
                else:
                    batches = [[instance_id] for instance_id in batch]
        if refused:
            raise refused[0]

    async def protect(self, instance_id: str, *, on: bool) -> None:
        """Set or lift termination protection."""
        with self._request("ModifyInstanceAttribute", instance_id, writes=True) as cloud:
            protect(cloud, instance_id, on=on)

    async def addresses(self) -> tuple[Address, ...]:
        """List the account's Elastic IPs, whoever has them."""
        with self._request("DescribeAddresses") as cloud:
            return tuple(
                Address(
                    allocation_id=a.allocation,
                    public_ip=a.public_ip,
                    instance_id=a.instance,
                    association_id=a.association,
                )
                for a in cloud.state.elastic_ips.values()
            )

    async def associate_address(self, allocation_id: str, instance_id: str) -> None:
        """Give an Elastic IP that nobody has to an instance; to whom it has already changes nothing."""
        with self._request("AssociateAddress", f"{allocation_id} {instance_id}", writes=True) as cloud:
            associate(cloud, allocation_id, instance_id, reassociate=False)

    async def impaired(self, instance_ids: Sequence[str]) -> frozenset[str]:
        """Tell which of these running instances fail their status checks."""
        with self._request("DescribeInstanceStatus") as cloud:
            running = describe_status(cloud, instance_ids) if instance_ids else []
            checked = [i for i in running if i.running_at is not None]
            return frozenset(i.id for i in checked if status_of(cloud, i) == "impaired")

    async def trouble(self, instance_ids: Sequence[str], *, spot: bool) -> Trouble:
        """Tell what the account has against these running instances."""
        with self._request("DescribeInstanceStatus") as cloud:
            checked = running(cloud)
            calendar = cloud.kernel.calendar
            told = Trouble(
                impaired={
                    i.id: calendar.to_datetime(since)
                    if (since := checks_of(cloud, i).impaired_at) is not None
                    else None
                    for i in checked
                    if status_of(cloud, i) == "impaired"
                },
                events=tuple(sorted(_events(checked), key=lambda event: (event.due, event.instance_id))),
                reclaimed={i.id: TAKEN for i in spot_machines(cloud) if spot and request_status(i) == TAKEN},
                at=calendar.to_datetime(cloud.kernel.now),
            )
        return told.only(instance_ids)

    async def supply(self, *, zones: Sequence[str], subnets: Sequence[str], known: Collection[str]) -> Supply:
        """Tell what the zones sell and which room the subnets have; as real as it is now."""
        cloud = catch_up(self._world, self._clock).cloud
        now = cloud.kernel.calendar.to_datetime(cloud.kernel.now)
        there = [cloud.state.subnets[s] for s in subnets if s in cloud.state.subnets]
        offered = {zone: offered_in(cloud, zone) for zone in zones if zone in cloud.state.zones}
        sold = sorted(set().union(*offered.values()) - set(known))
        return Supply(
            types=tuple(cloud.catalogue[name] for name in sold),
            offered=offered,
            offered_at=now,
            on_demand={name: kind.on_demand_usd_per_hour for name, kind in cloud.catalogue.items()},
            on_demand_at=now,
            spot_at=now,
            free_addresses={s.id: s.size - len(s.taken) for s in there},
            subnets_at=now,
        )

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        """Launch instances from any of the request's pools; the answer may hold errors too."""
        with self._request("CreateFleet", request.template, writes=True) as cloud:
            content = template_of(cloud, request.template).content
            machine = order_from(content, request.tags, market=request.market.value, template=request.template)
            order = FleetOrder(
                machine=machine,
                pools=tuple((o.instance_type, o.subnet_id) for o in request.overrides),
                count=request.count,
            )
            fleet = create_fleet(cloud, order, token=request.token)
        ids = [i for pool in fleet.pools for i in pool.instances]
        known = [cloud.state.instances[i] for i in ids if i in cloud.state.instances]
        made = tuple(instance_of(i, cloud.kernel.calendar) for i in known)
        return FleetAnswer(instances=made, errors=tuple(map(_fleet_error, fleet.errors)))

    async def spot_prices(self, types: Sequence[str], zones: Sequence[str]) -> Mapping[tuple[str, str], float]:
        """Give current spot prices; what is missing has no spot offering."""
        with self._request("DescribeSpotPriceHistory") as cloud:
            found = {(kind, zone): spot_price(cloud, kind, zone) for kind in types for zone in zones}
        return {pool: price for pool, price in found.items() if price is not None}

    @contextmanager
    def _request(self, action: str, about: str = "", *, writes: bool = False) -> Iterator[Cloud]:
        """Let the world catch up, count the request, and translate what EC2 says no with."""
        cloud = catch_up(self._world, self._clock).cloud
        with _translated(f"{action} {about}".rstrip(), writes=writes):
            spend(cloud, action)
            yield cloud


def order_from(data: Json, tags: Mapping[str, str], *, market: str, template: str) -> MachineOrder:
    """Give what a machine will be that is launched with this LaunchTemplateData and these tags."""
    content = template_from(template, data)
    return MachineOrder(
        image=content.image_id,
        instance_type=content.instance_type or "",
        subnet=content.subnet_id or "",
        market=market,
        user_data=content.user_data,
        security_groups=content.security_groups,
        instance_profile=content.instance_profile,
        tags={**content.tags, **tags},
        shutdown_behavior=data.get("InstanceInitiatedShutdownBehavior", "stop"),
        protected=bool(data.get("DisableApiTermination")) and market == account.ON_DEMAND,
        tags_in_metadata=data.get("MetadataOptions", {}).get("InstanceMetadataTags") == "enabled",
        template=template,
    )


def instance_of(found: account.Instance, calendar: Calendar) -> Instance:
    """Translate a machine as DescribeInstances shows it."""
    return Instance(
        id=found.id,
        type=found.type,
        zone=found.zone,
        subnet_id=found.subnet,
        market=Market(found.market),
        state=found.state,
        launched_at=calendar.to_datetime(found.launched_at),
        private_ip=found.private_ip,
        image_id=found.image,
        tags=dict(found.tags),
        state_reason=found.state_reason if found.state not in {account.PENDING, account.RUNNING} else "",
    )


def _image(cloud: Cloud, template: Template) -> str:
    """Give the image of a template; a parameter always names the same one here. Raises RefusedError."""
    if not template.image_id.startswith("ssm:"):
        return template.image_id
    name = template.image_id.removeprefix("ssm:")
    if (image := image_by_parameter(cloud, name)) is None:
        told = f"there is no parameter {name} in {cloud.state.region}"
        raise RefusedError(Source.EC2, template.name, told, why=Refusal.SPECIFICATION, code="ParameterNotFound")
    return image


def _events(checked: Sequence[account.Instance]) -> Iterator[ScheduledEvent]:
    for instance in checked:
        for event in events_ahead(instance):
            yield ScheduledEvent(
                instance_id=instance.id,
                id=event["InstanceEventId"],
                code=event["Code"],
                due=due(event),
                description=event["Description"],
            )


def _fleet_error(error: account.FleetError) -> FleetError:
    return FleetError(
        instance_type=error.type,
        zone=error.zone,
        market=Market(error.market),
        code=error.code,
        message=error.message,
        why=refusal_of(error.code),
    )


@contextmanager
def _translated(what: str, *, writes: bool) -> Iterator[None]:
    try:
        yield
    except Ec2Error as error:
        raise fault_of(error.code, error.message, error.status, what=what, writes=writes) from error
