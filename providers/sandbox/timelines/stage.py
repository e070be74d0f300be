"""The simulated servers on which a recording is performed: a cluster that has stood for a while, or none yet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from providers.sandbox.timelines import steps
from providers.sandbox.timelines.told import Told
from providers.sandbox.world.kernel import Kernel, Timeline
from providers.sandbox.world.nomad.agent import AgentSpec
from providers.sandbox.world.nomad.cluster import Cluster, ClusterState, Settings
from providers.sandbox.world.servers import agents, answers
from providers.sandbox.world.servers.context import Servers
from providers.sandbox.world.servers.state import AutopilotSettings, ServersState

if TYPE_CHECKING:
    from providers.sandbox.timelines.recording import Recording

_FORMED = 20.0  # seconds that the first servers get to form
_SECONDS = re.compile(r"([\d.]+)(ms|s|m)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class Stage:
    """Servers by label, their kernel, and Nomad's state behind them.

    ``standing`` is how long (seconds) the cluster has had its leader when the recording begins, which no recording
    says; ``hidden`` see ``Told``.
    """

    def __init__(self, recording: Recording, *, standing: float, hidden: int = 0) -> None:
        self.recording = recording
        self.kernel = Kernel(Timeline(seed=1))
        nomad = ClusterState(settings=_settings(recording), leader=False)
        self.cluster = Cluster(nomad, self.kernel)
        labels = recording.standing()
        self.starts = _FORMED + standing if labels else 0.0
        self.told = Told(recording, self.kernel, self.starts, hidden)
        self.servers = Servers(
            ServersState(), self.kernel, discover=lambda _key, _value: [], led=self.cluster.set_leader, told=self.told
        )
        agents.register(self.servers)
        self.addresses: dict[str, str] = {}
        self.watched: list[str] = []
        self.terminated: set[str] = set()
        self._ids: dict[str, str] = {}
        self.expect = max(3, len(labels))
        if labels:
            self._let_stand(labels)
        else:
            steps.start_server(self, "s1")

    # --- names

    def address(self, label: str) -> str:
        """Give a server's address; who is named first gets one."""
        plain = label.removeprefix("s")
        number = plain if plain.isdigit() else str(100 + len(self.addresses))
        return self.addresses.setdefault(label, f"10.77.0.{number}")

    def label(self, address: str) -> str:
        """Give the label of an address (with or without a port)."""
        host = address.partition(":")[0]
        return next((label for label, known in self.addresses.items() if known == host), host)

    def note_id(self, label: str, server_id: str) -> None:
        """Count a server's ids."""
        self._ids[server_id] = f"{label}#{1 + sum(k.startswith(f'{label}#') for k in self._ids.values())}"

    def id_words(self, server_id: str) -> str:
        """Give an id's words, ``s1#2``."""
        return self._ids.get(server_id, server_id)

    def id_of(self, words: str) -> str:
        """Give the id of such words."""
        return next(i for i, known in self._ids.items() if known == words)

    # --- who is asked

    def watch(self, label: str) -> None:
        """Ask this server from now on."""
        self.watched = sorted({*self.watched, label})

    def forget(self, label: str) -> None:
        """Ask this server no more: the recorder knew that it was gone."""
        self.watched = [known for known in self.watched if known != label]

    @property
    def now(self) -> float:
        """Seconds of the recording."""
        return self.kernel.now - self.starts

    def _let_stand(self, labels: list[str]) -> None:
        for label in labels:
            self.address(label)
        for label in labels:
            steps.start_server(self, label)
        self.kernel.run_until(_FORMED)
        cluster = next(iter(self.servers.state.clusters.values()))
        cluster.autopilot = _autopilot(self.recording)
        if any(row.who == "nodes" for row in self.recording.rows):
            for name in ("n1", "n2"):
                self.cluster.start_agent(AgentSpec(name=name, cpu_mhz=4000, memory_mib=4000, disk_mib=10_000))
        leader = self.address(self.recording.first_leader())
        target = next(p for p in cluster.peers if p.address == leader)
        answers.transfer_leadership(self.servers, self.addresses[labels[0]], server_id=target.id)
        if cluster.leader == leader and cluster.established_at is not None and cluster.established_at < _FORMED:
            other = next(p for p in cluster.peers if p.address != leader)
            answers.transfer_leadership(self.servers, leader, server_id=other.id)
            answers.transfer_leadership(self.servers, leader, server_id=target.id)
        self.kernel.run_until(self.starts)


def _settings(recording: Recording) -> Settings:
    ttl = recording.settings.get("failover_heartbeat_ttl")
    return Settings(failover_heartbeat_ttl=_seconds(ttl)) if ttl else Settings()


def _autopilot(recording: Recording) -> AutopilotSettings:
    said = recording.settings.get("autopilot", {})
    return AutopilotSettings(
        cleanup_dead_servers=said.get("CleanupDeadServers", True),
        last_contact_threshold=_seconds(said.get("LastContactThreshold", "200ms")),
        max_trailing_logs=said.get("MaxTrailingLogs", 250),
        min_quorum=said.get("MinQuorum", 0),
        stabilization=_seconds(said.get("ServerStabilizationTime", "10s")),
    )


def _seconds(text: str) -> float:
    if (found := _SECONDS.fullmatch(text)) is None:
        raise ValueError(f"{text!r} is no duration")
    return float(found[1]) * _UNITS[found[2]]
