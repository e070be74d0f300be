"""The EC2 port on the real EC2, in one region."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from providers.aws.call import Caller
from providers.aws.clients import Clients
from providers.ec2 import requests
from providers.ec2.answers import (
    address_from,
    fleet_answer_from,
    instance_from,
    instances_from,
    part,
    spot_prices_from,
)
from providers.ec2.content import refuse_too_long, template_from
from providers.ec2.images import Image, Images
from providers.ec2.supply import SupplyBoard
from providers.ec2.trouble import ask_impaired, ask_trouble
from providers.prices.kept import Kept
from schemas.faults import Refusal, RefusedError, Source, UnansweredError
from schemas.supply import Supply
from schemas.trouble import Trouble
from schemas.world import TAG_CLUSTER, TAG_REVISION, Address, FleetAnswer, FleetRequest, Instance, Template

SPOT_EVERY, SPOT_KEPT = timedelta(minutes=10), timedelta(hours=1)

_PAGE: Final = 1000
_TROUBLE: Final = {"asked_every": timedelta(minutes=1), "kept_for": timedelta(minutes=3)}
_NO_ADDRESS: Final = "InsufficientFreeAddressesInSubnet"
_TYPES_NAMED_MOST: Final = 200  # above it all rows are read, and ours picked
_LINUX: Final = ("Linux/UNIX", "Linux/UNIX (Amazon VPC)")
_ENDED_AT_ONCE: Final = 100
_TAKEN: Final = "Resource.AlreadyAssociated"
_NO_TEMPLATE: Final = "InvalidLaunchTemplateName.NotFoundException"


class AwsEc2:
    """EC2 through boto3; satisfies ``reconciler.ports.Ec2``.

    Reads are whole or unanswered. Writes are sent once: whoever knows their key asks again.
    """

    def __init__(self, clients: Clients, now: Callable[[], datetime], *, inline: bool = False) -> None:
        """Make the port; ``inline`` calls block the loop, for a wire in this process and its virtual time."""
        self._clients, self._now = clients, now
        self._caller = Caller(Source.EC2, inline=inline)
        self._images = Images(clients)
        self._spot: dict[object, Kept[Mapping[tuple[str, str], float]]] = {}
        self._supply = SupplyBoard(clients, now, inline=inline)
        self._trouble: dict[bool, Kept[Trouble]] = {}
        self._templates: dict[str, Template] = {}  # as stored; a name always holds the same content

    # --- instances

    async def instances(self, group: str) -> tuple[Instance, ...]:
        """List the group's instances in every state, all pages or UnansweredError."""

        def pages() -> tuple[Instance, ...]:
            found = self._clients.ec2().get_paginator("describe_instances")
            by_tag = requests.with_tag(TAG_CLUSTER, group)
            return instances_from(found.paginate(Filters=by_tag, PaginationConfig={"PageSize": _PAGE}))  # type: ignore[arg-type]

        return await self._caller.read(f"DescribeInstances of {group}", pages)

    async def run_instance(self, template: Template, *, token: str, tags: Mapping[str, str]) -> Instance:
        """Launch one instance; one token gives one in one zone, so a template's subnet never changes."""
        what = f"RunInstances {template.name}"
        refuse_too_long(template, what)
        image, template = await self._pinned(template, what)

        def launch() -> Instance:
            asked = requests.run_instances(template, tags, token=token, root=image.root)
            return instance_from(part(self._clients.ec2(writes=True).run_instances(**asked), "Instances")[0])

        return await self._caller.write(what, launch)

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        """Launch machines from the request's overrides; the answer may hold machines and errors."""
        what = f"CreateFleet {request.template}"
        template = self._templates.get(request.template) or await self.template(request.template)
        if template is None:
            told = "the launch template does not exist (yet)"
            raise RefusedError(Source.EC2, what, told, why=Refusal.INVALID, code=_NO_TEMPLATE)

        def launch() -> FleetAnswer:
            answer = self._clients.ec2(writes=True).create_fleet(**requests.create_fleet(request, template.tags))
            return fleet_answer_from(answer, request, template, self._now())

        try:
            answer = await self._caller.write(what, launch)
        except RefusedError as no:
            if no.why is Refusal.INVALID:  # somebody removed it
                self._templates.pop(request.template, None)
            raise
        if any(error.code == _NO_ADDRESS for error in answer.errors):
            self._supply.subnets_changed()
        return answer

    async def terminate(self, instance_ids: Sequence[str]) -> None:
        """End machines; one that ends already is ended. RefusedError(INVALID): EC2 does not know one (yet).

        One id that is unknown or protected spoils its whole batch (in its zone): each is then asked for alone, and
        the first no is raised when all were asked.
        """
        refused: list[RefusedError] = []
        for start in range(0, len(instance_ids), _ENDED_AT_ONCE):
            batch = instance_ids[start : start + _ENDED_AT_ONCE]
            if (no := await self._terminate(batch)) is None:
                continue
            each = [await self._terminate([instance_id]) for instance_id in batch] if len(batch) > 1 else [no]
            refused += [no for no in each if no is not None]
        if refused:
            raise refused[0]

    async def _terminate(self, instance_ids: Sequence[str]) -> RefusedError | None:
        """Ask once, and give the no."""
        try:
            await self._caller.write(
                f"TerminateInstances {', '.join(instance_ids)}",
                lambda: part(
                    self._clients.ec2(writes=True).terminate_instances(InstanceIds=list(instance_ids)),
                    "TerminatingInstances",
                ),
            )
        except RefusedError as no:
            return no
        return None

    async def protect(self, instance_id: str, *, on: bool) -> None:
        """Set or lift termination protection."""
        await self._caller.write(
            f"ModifyInstanceAttribute {instance_id}",
            lambda: self._clients.ec2(writes=True).modify_instance_attribute(
                InstanceId=instance_id, DisableApiTermination={"Value": on}
            ),
        )

    async def addresses(self) -> tuple[Address, ...]:
        """List the region's Elastic IPs; naming them would make one that was released spoil the answer."""

        def read() -> tuple[Address, ...]:
            found = part(self._clients.ec2().describe_addresses(), "Addresses")
            return tuple(address_from(address) for address in found if "AllocationId" in address)

        return await self._caller.read("DescribeAddresses", read)

    async def associate_address(self, allocation_id: str, instance_id: str) -> None:
        """Give an Elastic IP to an instance; one that somebody has stays there, and that it is ours is as asked."""
        try:
            await self._caller.write(
                f"AssociateAddress {allocation_id} {instance_id}",
                lambda: part(
                    self._clients.ec2(writes=True).associate_address(
                        AllocationId=allocation_id, InstanceId=instance_id, AllowReassociation=False
                    ),
                    "AssociationId",
                ),
            )
        except RefusedError as no:
            if no.code != _TAKEN:
                raise
            if not any(
                (a.allocation_id, a.instance_id) == (allocation_id, instance_id) for a in await self.addresses()
            ):
                raise

    async def impaired(self, instance_ids: Sequence[str]) -> frozenset[str]:
        """Tell which of these running instances fail a status check: all impaired ones are listed, and ours picked.

        Naming ids would make one that is gone spoil the answer. Filters are ANDed: one question for each check.
        """

        def pages() -> frozenset[str]:
            return frozenset({row["InstanceId"] for row in ask_impaired(self._clients)} & set(instance_ids))

        return await self._caller.read("DescribeInstanceStatus", pages)

    async def trouble(self, instance_ids: Sequence[str], *, spot: bool) -> Trouble:
        """Tell what EC2 has against these running instances, at most a minute old; three, when EC2 is silent."""
        kept = self._trouble.setdefault(spot, Kept(self._now, **_TROUBLE))
        told = await kept.get(
            lambda: self._caller.read(
                "DescribeInstanceStatus", lambda: ask_trouble(self._clients, self._now, spot=spot)
            )
        )
        return told.value.only(instance_ids)

    async def supply(self, *, zones: Sequence[str], subnets: Sequence[str], known: Collection[str]) -> Supply:
        """Tell what the zones sell and which room their subnets have, as far as it is known; never raises."""
        spot = max((kept.last.at for kept in self._spot.values() if kept.last), default=None)
        return replace(await self._supply.look(zones, subnets, known), spot_at=spot)

    # --- launch templates

    async def template_names(self, group: str) -> frozenset[str]:
        """List the names of the group's launch templates, all pages or UnansweredError."""

        def pages() -> frozenset[str]:
            found = self._clients.ec2().get_paginator("describe_launch_templates")
            by_tag = requests.with_tag(TAG_CLUSTER, group)
            read = found.paginate(Filters=by_tag, PaginationConfig={"PageSize": 200})  # type: ignore[arg-type]
            return frozenset(t["LaunchTemplateName"] for page in read for t in part(page, "LaunchTemplates"))

        return await self._caller.read(f"DescribeLaunchTemplates of {group}", pages)

    async def template(self, name: str) -> Template | None:
        """Read one launch template as it is stored; None when EC2 says that there is none."""

        def read() -> Template | None:
            client = self._clients.ec2()
            try:
                answer = client.describe_launch_template_versions(LaunchTemplateName=name, Versions=[requests.VERSION])
            except client.exceptions.ClientError as error:
                if error.response["Error"]["Code"] == _NO_TEMPLATE:
                    return None
                raise
            versions = part(answer, "LaunchTemplateVersions")
            return template_from(name, versions[0]["LaunchTemplateData"]) if versions else None

        found = await self._caller.read(f"DescribeLaunchTemplateVersions {name}", read)
        if found is not None:
            self._templates[name] = found
        return found

    async def create_template(self, group: str, template: Template) -> None:
        """Make a launch template. An image that a parameter names is looked up now, and so pinned by the template.

        One that machines or templates of the same revision pinned before is taken again, whatever was published since.
        """
        what = f"CreateLaunchTemplate {template.name}"
        refuse_too_long(template, what)
        image = await self._image(await self._pin(group, template), what)
        stored = replace(template, image_id=image.id)

        def create() -> None:
            asked = requests.launch_template(group, stored, root=image.root)
            part(self._clients.ec2(writes=True).create_launch_template(**asked), "LaunchTemplate")

        await self._caller.write(what, create)
        self._templates[template.name] = stored

    async def delete_template(self, name: str) -> None:
        """Delete a launch template; one that is not there is deleted."""
        self._templates.pop(name, None)
        try:
            await self._caller.write(
                f"DeleteLaunchTemplate {name}",
                lambda: part(
                    self._clients.ec2(writes=True).delete_launch_template(LaunchTemplateName=name), "LaunchTemplate"
                ),
            )
        except RefusedError as no:
            if no.code != _NO_TEMPLATE:
                raise

    # --- prices

    async def spot_prices(self, types: Sequence[str], zones: Sequence[str]) -> Mapping[tuple[str, str], float]:
        """Give current spot prices, at most ten minutes old, or an hour when EC2 does not answer."""
        asked = tuple(sorted(types)), tuple(sorted(zones))
        board = self._spot.setdefault(asked, Kept(self._now, asked_every=SPOT_EVERY, kept_for=SPOT_KEPT))
        return (await board.get(lambda: self._ask_spot_prices(*asked))).value

    async def _ask_spot_prices(self, types: Sequence[str], zones: Sequence[str]) -> Mapping[tuple[str, str], float]:
        """Read the history: it is one of changes, so that from now on it has one row for each market."""

        def pages() -> Mapping[tuple[str, str], float]:
            found = (
                self._clients.ec2()
                .get_paginator("describe_spot_price_history")
                .paginate(
                    StartTime=self._now(),
                    ProductDescriptions=_LINUX,
                    Filters=[{"Name": "availability-zone", "Values": list(zones)}],
                    PaginationConfig={"PageSize": _PAGE},
                    **({"InstanceTypes": list(types)} if len(types) <= _TYPES_NAMED_MOST else {}),  # type: ignore[arg-type]
                )
            )
            return spot_prices_from(found, frozenset(types), frozenset(zones))

        return await self._caller.read("DescribeSpotPriceHistory", pages)

    # --- images

    async def _image(self, image: str, what: str) -> Image:
        return await self._caller.read(what, lambda: self._images.look_up(image, what))

    async def _pin(self, group: str, template: Template) -> str:
        """Give what a new template's image is to be: that of its revision, if there is one, else as it is written."""
        revision = template.tags.get(TAG_REVISION)
        if not template.image_id.startswith("ssm:") or revision is None:
            return template.image_id
        known = [t.image_id for t in self._templates.values() if t.tags.get(TAG_REVISION) == revision]
        if not known:
            machines = await self.instances(group)
            known = [i.image_id for i in machines if i.live and i.image_id and i.tags.get(TAG_REVISION) == revision]
        return known[0] if known else template.image_id

    async def _pinned(self, template: Template, what: str) -> tuple[Image, Template]:
        """Give the image that a stored template pinned, so that a launch is repeated with the same."""
        if template.image_id.startswith("ssm:"):
            stored = self._templates.get(template.name) or await self.template(template.name)
            if stored is None:
                raise UnansweredError(Source.EC2, what, "its image is pinned by its template, which is not there yet")
            template = replace(template, image_id=stored.image_id)
        return await self._image(template.image_id, what), template
