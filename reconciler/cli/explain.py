"""``reconcile explain``: why a job waits, why a node or a server is there, stays or goes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.text import Text

from reconciler.cli.exits import FAILED, ExitError
from reconciler.cli.gather import unknown
from reconciler.cli.look import Seen, look
from reconciler.cli.options import Given
from reconciler.cli.show import parts
from reconciler.cli.show.console import console_for
from reconciler.cli.show.plain import plain, print_plain
from reconciler.cli.show.words import money, percent, work_text
from reconciler.status.explain import (
    Explained,
    GroupStands,
    JobExplained,
    NodeExplained,
    ServerExplained,
    explain_jobs,
    explain_nodes,
    explain_servers,
)
from reconciler.status.tables import node_rows, server_rows
from schemas.document import ClusterGroup
from schemas.faults import Source
from schemas.plan import Plan
from schemas.world import Snapshot

Explain = Callable[[Snapshot, ClusterGroup, Plan, str], Iterator[Explained]]
EXPLAIN: dict[str, Explain] = {"job": explain_jobs, "node": explain_nodes, "server": explain_servers}


def explain(given: Given, *, kinds: Sequence[str], name: str) -> None:
    """Explain what is called ``name`` among these kinds; ends with 1 when nothing is."""
    seen = look(given)
    found = [
        (one, explained)
        for one in seen
        for kind in kinds
        for explained in EXPLAIN[kind](one.tick.snapshot, one.tick.group, one.tick.plan, name)
    ]
    if not found:
        raise ExitError(FAILED, f"Error: {_nothing(seen, kinds, name)}")
    if given.output != "text":
        data = [{"groupName": one.tick.group.metadata.name, **plain(explained)} for one, explained in found]
        print_plain({"explained": data}, given.output)
        return
    console = console_for(sys.stdout)
    for place, (one, explained) in enumerate(found):
        if place:
            console.print()
        _print(console, one.tick.group.metadata.name, explained)


def _nothing(seen: Sequence[Seen], kinds: Sequence[str], name: str) -> str:
    """Say what there is instead, and who did not answer."""
    there = {kind: sorted({n for one in seen for n in _names(one.tick.snapshot, kind)}) for kind in kinds}
    said = unknown(_either(kinds), name, [n for kind in kinds for n in there[kind]])
    silent = [one.tick.snapshot.unanswered.get(Source.NOMAD) for one in seen]
    heard = next((s for s in silent if s), None)
    return said + (f". Nomad did not answer: {heard}" if heard else "")


def _either(kinds: Sequence[str]) -> str:
    return " or ".join(part for part in (", ".join(kinds[:-1]), kinds[-1]) if part)


def _names(snapshot: Snapshot, kind: str) -> list[str]:
    match kind:
        case "job":
            return [job.name for job in snapshot.jobs]
        case "node":
            return [row.name for row in node_rows(snapshot)]
        case _:
            return [row.instance for row in server_rows(snapshot)]


# --- people ----------------------------------------------------------------------------------------------------------


Pairs = list[tuple[str, str]]


def _print(console: Console, group: str, explained: Explained) -> None:
    console.print(Text.assemble((f"{explained.kind} {explained.name}", "title"), f" of {group}: {explained.verdict}"))
    match explained:
        case JobExplained():
            _job(console, explained)
        case NodeExplained(node=n):
            use = f", CPU {percent(n.cpu_percent)}, memory {percent(n.memory_percent)}" if n.node else ""
            machine = f"{n.instance_type} in {n.zone}, {n.market}, {n.state}{use}, {money(n.price)} USD/h"
            work = ("holds" if n.node else "for", work_text(n.work) or "nothing")
            parts.pairs(console, [("machine", machine), *_facts(explained.facts), work])
        case ServerExplained(server=s):
            machine = f"{s.instance_type} in {s.zone}, {s.state}, {s.address}, {money(s.price)} USD/h"
            parts.pairs(console, [("machine", machine), *_facts(explained.facts)])
    parts.holds(console, explained.holds)


def _job(console: Console, job: JobExplained) -> None:
    where = f"node pool {job.node_pool}, datacenters {', '.join(job.datacenters)}"
    parts.pairs(console, [("job", f"{job.type}, priority {job.priority}, {where}")])
    for group in job.groups:
        console.print()
        waits = f", {group.waiting} waiting" if group.waiting else ""
        wanted = f" of {group.count}" if job.type not in {"system", "sysbatch"} else ""
        have = "has" if (group.count if wanted else group.placed) == 1 else "have"
        console.print(Text.assemble("  group ", (group.group, "title"), f": {group.placed}{wanted} {have} room{waits}"))
        parts.pairs(console, _group(group))


def _group(group: GroupStands) -> Pairs:
    """What pools could do for a group is told only while something of it waits."""
    found = [("why", why) for why in group.why] + [("room", where) for where in group.coming]
    if group.price is not None:
        found.append(("price", f"alone it would need machines for {money(group.price)} USD an hour more"))
    if group.waiting:
        found += [(f"pool {p.pool}", p.text if p.serves else f"cannot serve it: {p.text}") for p in group.pools]
    if group.nodes:
        found.append(("placed", ", ".join(group.nodes)))
    return found


def _facts(facts: Sequence[str]) -> Pairs:
    return [("", fact) for fact in facts]
