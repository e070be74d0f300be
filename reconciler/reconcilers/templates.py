"""Takes away launch templates that nothing refers to any more: a region has room for 5,000 of them.

The marker of the formed quorum and the attempts of the formation are records, never garbage. Of a pool's templates, and
of the servers', those of earlier contents go when every live machine has the revision of today's document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reconciler.machine import named_server_template, pool_templates, server_template
from reconciler.reconcilers.servers.wanted import arch_of
from schemas.document import ClusterGroup, effective_machine
from schemas.faults import Source
from schemas.names import PREFIX, formed_marker, parse_form_template
from schemas.plan import DeleteTemplate, Plan
from schemas.world import TAG_REVISION, Role, Snapshot, Template

AT_ONCE: Final = 3
_ARCHES: Final = ("-x86-64", "-arm64")  # as names of templates have them


def plan_templates(snapshot: Snapshot, group: ClusterGroup) -> Plan:
    """Delete a few templates of earlier contents; none while a launch is open or anybody is silent."""
    if {Source.EC2, Source.STORE} & snapshot.unanswered.keys() or snapshot.record.step is not None:
        return Plan()
    if any(not claim.answered for claim in snapshot.claims):  # it is asked again with the template it was asked with
        return Plan()
    made = {name: of for name in snapshot.templates if (of := _owner(group, name)) is not None}
    if not made:
        return Plan()
    wanted = list(_wanted(snapshot, group))
    names, revisions = {t.name for t in wanted}, {t.tags[TAG_REVISION] for t in wanted}
    used = {
        _SERVERS if i.role == Role.SERVER else i.pool
        for i in snapshot.instances
        if i.live and i.tags.get(TAG_REVISION) not in revisions
    }
    used |= {claim.pool for claim in snapshot.claims}
    unused = sorted(name for name, of in made.items() if name not in names and of not in used)
    return Plan(
        actions=tuple(
            DeleteTemplate(
                name=name,
                reason="no machine has its revision any more, and the document asks for another",
            )
            for name in unused[:AT_ONCE]
        )
    )


_SERVERS: Final = "servers"


def _owner(group: ClusterGroup, name: str) -> str | None:
    """Tell whose content a template holds: a pool's name or the servers'; None: it is no such template of ours."""
    if name == formed_marker(group.metadata.name) or parse_form_template(group.metadata.name, name):
        return None
    found = re.fullmatch(rf"{PREFIX}-{re.escape(group.metadata.name)}-(.+)-[0-9a-f]{{12}}", name)
    if found is None:
        return None
    if found[1] == _SERVERS:
        return _SERVERS
    return next((found[1].removesuffix(arch) for arch in _ARCHES if found[1].endswith(arch)), None)


def _wanted(snapshot: Snapshot, group: ClusterGroup) -> Iterator[Template]:
    """Give every template that today's document may launch from."""
    for pool in group.spec.pools:
        yield from pool_templates(group, pool, snapshot.catalogue)
    if (servers := group.spec.servers) is None:
        return
    for arch in sorted({arch_of(snapshot, kind) for kind in servers.instance_types}):
        if arch not in effective_machine(group, servers).images:
            continue
        template = server_template(group, arch)
        for kind in servers.instance_types:
            for subnet in group.spec.aws.subnets:
                yield named_server_template(group, template, kind, subnet.id)
