"""Recorded exchanges with a real Nomad, and the simulated cluster that is asked the same in the same order.

Ids differ from run to run: they are matched by what they name, as both answers are read side by side.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from providers.prices.shipped import load_catalogue
from providers.sandbox.world.nomad.agent import AgentSpec
from providers.sandbox.world.nomad.node import Reserved
from providers.sandbox.world.scenario import Scenario, load_scenario
from providers.sandbox.world.servers import agents
from providers.sandbox.world.servers.state import ServerAgent
from providers.sandbox.world.world import World

FOLDER = Path(__file__).parents[1] / "recordings" / "http"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
SERVERS = {f"s{n}": f"10.77.2.{n}" for n in (1, 2, 3)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and what a real Nomad answered; ``name`` is the file's, with the place in it if there are several."""

    name: str
    number: int
    cluster: str
    at: float  # seconds since the first one of its file
    request: Mapping[str, Any]
    response: Mapping[str, Any]


def exchanges() -> Iterator[Exchange]:
    """Read all recorded exchanges that hold a request and a status."""
    for path in sorted(FOLDER.glob("*.json")):
        told = json.loads(path.read_text(encoding="utf-8"))
        cluster, number, last = told.get("cluster", ""), int(path.name[:3]), told.get("request")
        parts = told.get("exchanges") or [told]
        for place, part in enumerate(parts):
            last = part.get("request") or last
            if last is None or "status" not in (part.get("response") or {}):
                continue
            name = path.stem if len(parts) == 1 else f"{path.stem}/{place}"
            at = float(part.get("at") or 0.0)
            yield Exchange(name=name, number=number, cluster=cluster, at=at, request=last, response=part["response"])


_NEVER_LISTED = ("3bbd1eb8-2c32-1319-4b6f-43c43708e9d1", "457fd054-e4bf-4c0a-85b5-5d269553643a")
CLIENTS = {f"n{n}": f"10.77.2.{10 + n}" for n in range(1, 6)}


def recorded_nodes() -> dict[str, str]:
    """Give the names of the nodes that any exchange shows, by their recorded ids."""
    found = dict.fromkeys(_NEVER_LISTED, "n1")
    for exchange in exchanges():
        body = exchange.response.get("body")
        for row in body if isinstance(body, list) else [body]:
            if isinstance(row, dict) and {"ID", "Name", "SchedulingEligibility"} <= row.keys():
                found[row["ID"]] = row["Name"]
    return found


def a_recorded_world(servers: int = 3, clients: Sequence[str] = ("n1", "n2", "n3", "n4"), *, expect: int = 0) -> World:
    """Build a cluster as those on which the exchanges were recorded."""
    account = load_scenario("demo").account
    world = World.create(Scenario(name="recorded", account=account, steps=[]), 5, load_catalogue())
    settings = world.nomad.state.settings
    settings.min_heartbeat_ttl = settings.heartbeat_grace = 3.0
    settings.max_heartbeats_per_second, settings.failover_heartbeat_ttl = 1000.0, 15.0
    started = dict(list(SERVERS.items())[:servers])
    for n, (name, address) in enumerate(started.items()):
        agent = ServerAgent(address=address, name=name, id=f"{n}" * 8 + f"-0000-4000-a000-{n:012}")
        agent.expect, agent.retry_join = expect or servers, [a for a in started.values() if a != address]
        agents.start(world.servers, agent)
    world.advance(60)
    for name in clients:
        world.nomad.start_agent(_client(name))
    world.advance(world.now + 5)
    return world


def add_client(world: World, name: str) -> None:
    """Start one more client and wait until it is ready."""
    world.nomad.start_agent(_client(name))
    world.advance(world.now + 5)


def _client(name: str) -> AgentSpec:
    recorded = {node["Name"]: node for node in _recorded("030-nodes-resources")}
    node = recorded.get(name, recorded["n2"])
    has, held = node["NodeResources"], node["ReservedResources"]
    attributes = _recorded("059-node-read")["Attributes"]
    return AgentSpec(
        name=name,
        address=CLIENTS[name],
        cpu_mhz=has["Cpu"]["CpuShares"],
        memory_mib=has["Memory"]["MemoryMB"],
        disk_mib=has["Disk"]["DiskMB"],
        datacenter=node["Datacenter"],
        node_pool=node["NodePool"],
        node_class=node["NodeClass"],
        meta={"rack": "r1", "unique.instance_id": f"i-000{name[1:]}"},
        attributes={k: v for k, v in attributes.items() if not k.startswith("unique.")},
        drivers={"mock_driver": True, "raw_exec": True},
        cores=[0, 1],
        core_mhz=[2596, 2596],
        reserved=Reserved(
            cpu_mhz=held["Cpu"]["CpuShares"],
            memory_mib=held["Memory"]["MemoryMB"],
            disk_mib=held["Disk"]["DiskMB"],
            ports=held["Networks"]["ReservedHostPorts"],
        ),
    )


def _recorded(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))["response"]["body"]


# --- comparing -------------------------------------------------------------------------------------------------------

MAPS = frozenset(  # keys are names, not fields: values are compared, names are not
    [
        "Attributes",
        "Meta",
        "Links",
        "Drivers",
        "HostVolumes",
        "Summary",
        "ClassEligibility",
        "FailedTGAllocs",
        "QueuedAllocations",
        "TaskStates",
        "DesiredTGUpdates",
        "TaskGroups",
        "Tasks",
        "TaskLifecycles",
        "ConstraintFiltered",
        "DimensionExhausted",
        "ClassExhausted",
        "NodesAvailable",
        "ClassFiltered",
        "Scores",
        "ResourcesExhausted",
        "Items",
        "Config",
        "Env",
        "Details",
        "Tags",
        "Dynamic",
        "Static",
        "DisplayMessages",
    ]
)


@dataclass(slots=True)
class Pairing:
    """Recorded ids and those of the simulated cluster that name the same thing."""

    ours: dict[str, str] = field(default_factory=dict)
    indexes: dict[int, int] = field(default_factory=dict)

    def translated(self, value: Any) -> Any:
        """Put our ids where recorded ones stand."""
        if isinstance(value, str):
            return UUID.sub(lambda m: self.ours.get(m.group(), m.group()), value)
        if isinstance(value, dict):
            return {key: self.translated(inner) for key, inner in value.items()}
        return [self.translated(inner) for inner in value] if isinstance(value, list) else value

    def unknown(self, value: Any) -> list[str]:
        """Name the recorded ids in a request that nothing of ours stands for."""
        found = UUID.findall(json.dumps(value))
        return [i for i in found if i not in self.ours and not i.startswith("00000000-0000-0000")]

    def learn(self, recorded: Any, ours: Any) -> None:
        """Pair the ids that stand at the same place of two answers."""
        if isinstance(recorded, str) and isinstance(ours, str):
            if UUID.fullmatch(recorded) and UUID.fullmatch(ours):
                self.ours.setdefault(recorded, ours)
        elif isinstance(recorded, dict) and isinstance(ours, dict):
            for key in recorded.keys() & ours.keys():
                if key.endswith("Index") and isinstance(recorded[key], int) and isinstance(ours[key], int):
                    self.indexes[recorded[key]] = ours[key]
                self.learn(recorded[key], ours[key])
        elif isinstance(recorded, list) and isinstance(ours, list):
            for left, right in paired(recorded, ours):
                self.learn(left, right)


def paired(recorded: list[Any], ours: list[Any]) -> list[tuple[Any, Any]]:
    """Pair rows of two lists by what they are about; rows without a partner are left out."""
    rest = list(ours)
    found = []
    for left in recorded:
        mark = _mark(left)
        right = next((r for r in rest if _mark(r) == mark), None)
        if right is not None:
            rest.remove(right)
            found.append((left, right))
    return found


def _mark(row: Any) -> Any:
    if not isinstance(row, dict):
        return type(row).__name__
    names = ("Name", "JobID", "TriggeredBy", "Status", "ClientStatus", "TaskGroup", "Path", "Message", "Label")
    identity = row.get("ID") if not UUID.fullmatch(str(row.get("ID"))) else ""
    return (identity, *(row.get(name) for name in names))


def differences(recorded: Any, ours: Any, path: str = "") -> list[str]:
    """Name what is shaped otherwise: keys, types, null against absent, empty against null."""
    if recorded is None or ours is None:
        return [] if recorded is ours else [f"{path}: {_kind(recorded)}, ours {_kind(ours)}"]
    if _kind(recorded) != _kind(ours):
        return [f"{path}: {_kind(recorded)}, ours {_kind(ours)}"]
    if isinstance(recorded, list):
        if not recorded or not ours:
            return []
        rows = paired(recorded, ours) or [(recorded[0], ours[0])]
        return list(dict.fromkeys(d for left, right in rows for d in differences(left, right, f"{path}[]")))
    if not isinstance(recorded, dict):
        return []
    if path.rpartition(".")[2] in MAPS:
        rows = [(recorded[k], ours[k]) for k in recorded.keys() & ours.keys()]
        rows = rows or list(zip(recorded.values(), ours.values(), strict=False))[:1]
        return list(dict.fromkeys(d for left, right in rows for d in differences(left, right, f"{path}.*")))
    found = [f"{path}.{key}: missing" for key in sorted(recorded.keys() - ours.keys())]
    found += [f"{path}.{key}: not in Nomad's" for key in sorted(ours.keys() - recorded.keys())]
    for key in sorted(recorded.keys() & ours.keys()):
        found += differences(recorded[key], ours[key], f"{path}.{key}")
    return found


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case _:
            return "object"
