"""What can be set about the simulated Nomad: the agents' configuration and how fast its parts are.

Times are seconds. The defaults of the first block are those of a real cluster (source: Nomad's agent configuration);
those of the second were read off recordings of real agents on two shared cores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MINUTE = 60.0
HOUR = 3600.0


@dataclass(slots=True)
class Delays:
    """How long the parts of a real cluster take (measured); everything that takes time takes it from here."""

    schedule: float = 0.02  # an evaluation waits in the broker and is processed
    pull: float = 0.05  # a client hears of a change of its allocations
    task_start: float = 0.1  # from received to running at best, mock_driver and raw_exec
    task_start_more: float = 0.9  # and at worst that much more (rarely: a draw to the fourth power)
    update: float = 0.21  # a client's tick (allocSyncIntv and the call): it sends changes, most with every fifth tick
    server_batch: float = 0.05  # the leader gathers client updates (batchUpdateInterval)
    agent_start: float = 0.15  # from start to registration
    agent_ready: float = 0.05  # from registration to the first heartbeat
    retry: float = 1.0  # an agent that finds no leader tries again
    blocked_retry: float = MINUTE  # failedEvalUnblockInterval
    drain_batch: float = 1.0  # drainer: transitions are gathered for a second
    drain_coalesce: float = 5.0  # drainer: deadlines within this window are handled together
    deployment_batch: float = 0.25  # deployment watcher: cross-deployment update batch
    duplicate_reap: float = 0.01  # leader: a displaced blocked evaluation is cancelled


@dataclass(slots=True)
class Settings:
    """Configuration of the simulated servers; see ``Delays`` for how fast they are."""

    region: str = "global"
    version: str = "2.0.5"
    epoch_unix: int = 1_767_225_600  # virtual second 0 on the calendar: 2026-01-01T00:00:00Z
    min_heartbeat_ttl: float = 10.0
    heartbeat_grace: float = 10.0
    failover_heartbeat_ttl: float = 300.0
    max_heartbeats_per_second: float = 50.0
    gc_interval: float = 5 * MINUTE
    node_gc_threshold: float = 24 * HOUR
    eval_gc_threshold: float = HOUR
    batch_eval_gc_threshold: float = 24 * HOUR
    job_gc_threshold: float = 4 * HOUR
    deployment_gc_threshold: float = HOUR
    job_max_priority: int = 100
    batch_run_for: float = 10 * MINUTE  # how long a batch task runs that does not say so itself
    delays: Delays = field(default_factory=Delays)


@dataclass(slots=True)
class SchedulerConfiguration:
    """Cluster-wide scheduler settings (source: ``/v1/operator/scheduler/configuration``)."""

    algorithm: str = "binpack"
    preempt_system: bool = True
    preempt_sysbatch: bool = False
    preempt_batch: bool = False
    preempt_service: bool = False
    memory_oversubscription: bool = False
    reject_job_registration: bool = False
    pause_eval_broker: bool = False
    node_limit: int = 0  # NodeLimitForFeasibilityChecks; 0 means 100
    create_index: int = 0
    modify_index: int = 0
