"""``reconcile render``: the user data with which a pool's machines, or the servers, are launched."""

from __future__ import annotations

import click

from reconciler.bootstrap import source
from reconciler.cli.gather import documents_of, unknown
from reconciler.cli.options import Given
from reconciler.cli.show.plain import print_plain, print_text
from reconciler.cli.streams import tell
from reconciler.machine import pool_template, server_template
from schemas.document import ClusterGroup, effective_machine
from schemas.world import TAG_REVISION, Template

SERVERS = "servers"


def render(given: Given, *, machine: str, arch: str | None) -> None:
    """Print the user data of one kind of machine; with ``-o json`` or ``yaml`` the whole launch template."""
    groups = [document.group for document in documents_of(given)]
    found = [group for group in groups if machine in _names(group)]
    if not found:
        names = sorted({name for group in groups for name in _names(group)})
        raise click.UsageError(unknown("pool", machine, names))
    if len(found) > 1:
        several = ", ".join(group.metadata.name for group in found)
        raise click.UsageError(f"{machine} is in several groups, choose one with --group: {several}")
    group = found[0]
    chosen = _arch(group, machine, arch)
    template = _template(group, machine, chosen)
    if given.output == "text":
        if given.verbose:
            said = f"{template.name or 'named at launch'}, image {template.image_id}, {chosen}"
            tell(f"launch template: {said}, revision {template.tags[TAG_REVISION]}")
        print_text(template.user_data.rstrip("\n"))
        return
    data = {
        "group": group.metadata.name,
        "machine": machine,
        "arch": chosen,
        "revision": template.tags[TAG_REVISION],
        "template": template,
    }
    print_plain(data, given.output)


def _names(group: ClusterGroup) -> list[str]:
    return [*([SERVERS] if group.spec.servers is not None else []), *(pool.name for pool in group.spec.pools)]


def _arch(group: ClusterGroup, machine: str, arch: str | None) -> str:
    """Choose the architecture; where there are several, the user does."""
    there = _archs(group, machine)
    if arch is not None:
        if arch not in there:
            raise click.UsageError(f"--arch {arch}: {machine} may only use {' and '.join(there)}")
        return arch
    if len(there) > 1:
        raise click.UsageError(f"{machine} may use {' and '.join(there)}: choose one with --arch")
    return there[0]


def _archs(group: ClusterGroup, machine: str) -> list[str]:
    """Which architectures its types have, as far as there are images."""
    catalogue = source.catalogue()
    if machine == SERVERS and group.spec.servers is not None:
        first = catalogue.get(group.spec.servers.instance_types[0])
        return [first.arch if first else "x86_64"]
    pool = next(p for p in group.spec.pools if p.name == machine)
    images = effective_machine(group, pool).images
    return sorted({t.arch for t in pool.instances.allowed(catalogue)} & set(images))


def _template(group: ClusterGroup, machine: str, arch: str) -> Template:
    if machine == SERVERS:
        return server_template(group, arch)
    pool = next(p for p in group.spec.pools if p.name == machine)
    return pool_template(group, pool, arch, pool.instances.allowed(source.catalogue()))
