"""A client running allocations: tasks by lifecycle, restarts, kills, health (source: ``client/allocrunner``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad import allocation as al
from providers.sandbox.world.nomad.agent import RunningAlloc, RunningTask

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.agent import Agent
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.jobspec import GroupSpec, TaskSpec
    from providers.sandbox.world.nomad.store import Store

_HOOK_RUN_FOR = 5.0  # a prestart, poststart or poststop task that does not say how long it runs
_MIGRATE_DEADLINE, _MIGRATE_MIN_HEALTHY = 300.0, 10.0  # DefaultMigrateStrategy
_DESCRIPTIONS = {
    al.FAILED: "Failed tasks",
    al.RUNNING: "Tasks are running",
    al.PENDING: "No tasks have started",
    al.COMPLETE: "All tasks have completed",
}
_OVERRAN = "allocation exceeded max_run_duration"
_KILL_RESTORED = (0.9, 6.1)  # more, for tasks that a restarted agent took up again (recorded: either)
_SHUT_DOWN_FIRST = 0.05  # the health watcher is shut down before it sees its tasks end: 1 of 20 recorded stops
PENDING, RUNNING, DEAD = "pending", "running", "dead"


class AllocRunner:
    """Runs the allocations of all agents."""

    def __init__(self, store: Store, report: Callable[[Agent, RunningAlloc], None]) -> None:
        self._store = store
        self._report = report

    @property
    def _now(self) -> float:
        return self._store.kernel.now

    def group_of(self, alloc_id: str) -> GroupSpec | None:
        """Give the group of an allocation that the servers still know."""
        alloc = self._store.state.allocs.get(alloc_id)
        return None if alloc is None else self._store.spec(alloc.job_key).groups.get(alloc.group)

    # -- the servers' wishes

    def start(self, agent: Agent, alloc: Allocation) -> None:
        """Take on an allocation."""
        runner = RunningAlloc(alloc.id, alloc.alloc_modify_index, alloc.deployment_id)
        group = self.group_of(alloc.id)
        if group is None:
            return
        agent.allocs[alloc.id] = runner
        runner.tasks = {t.name: RunningTask() for t in group.tasks}
        if alloc.server_terminal:
            self._all_dead(agent, runner)
            return
        if group.max_run_duration is not None:
            runner.ends_at = self._now + group.max_run_duration
            self._after(agent, group.max_run_duration, "nomad.overrun", runner.id)
        self._watch(agent, runner, group)
        self._advance(agent, runner, group)
        self._report(agent, runner)

    def overrun(self, agent: Agent, alloc_id: str) -> None:
        """Stop what ran longer than ``max_run_duration``: it is complete, and nothing replaces it (asked of 2.0.5)."""
        runner = agent.allocs.get(alloc_id)
        if runner is not None and runner.killed_at is None and not self._is_over(runner):
            runner.overran = True
            self.kill(agent, runner, skip_delay=True)

    def update(self, agent: Agent, runner: RunningAlloc, alloc: Allocation) -> None:
        """Take in that the servers changed an allocation."""
        runner.alloc_modify_index = alloc.alloc_modify_index
        if alloc.server_terminal:
            skip = alloc.transition is not None and bool(alloc.transition.no_shutdown_delay)
            self.kill(agent, runner, skip_delay=skip)
            return
        if alloc.deployment_id != runner.deployment_id:
            runner.deployment_id, runner.healthy = alloc.deployment_id, None
        group = self.group_of(alloc.id)
        if group is not None and runner.killed_at is None:
            if runner.healthy is None:  # any change of the allocation starts the watch anew
                runner.watch_until = runner.all_running_since = None
            self._watch(agent, runner, group)
        if alloc.client != runner.client:
            self._report(agent, runner)

    def destroy(self, agent: Agent, runner: RunningAlloc) -> None:
        """The servers do not know it: end it without a verdict."""
        runner.destroyed, runner.watch_until = True, None
        self.kill(agent, runner, skip_delay=True)

    def kill(self, agent: Agent, runner: RunningAlloc, *, skip_delay: bool = False) -> None:
        """Stop the tasks: shutdown delay, signal, at most the kill timeout."""
        if runner.killed_at is not None or self._is_over(runner):
            return
        group = self.group_of(runner.id)
        wait = 0.0
        if group is not None:
            running = [t for t in group.tasks if runner.tasks[t.name].state.state == RUNNING]
            wait = max((min(t.kill_after, t.kill_timeout) for t in running), default=0.0)
            if runner.restored and running:
                wait += self._store.kernel.chance().choice(_KILL_RESTORED)
            if not skip_delay:
                wait += group.shutdown_delay + max((t.shutdown_delay for t in running), default=0.0)
        runner.killed_at = self._now + wait
        self._after(agent, wait, "nomad.killed", runner.id, runner.killed_at)

    def killed(self, agent: Agent, alloc_id: str, due: float) -> None:
        """The tasks have ended."""
        runner = agent.allocs.get(alloc_id)
        if runner is not None and runner.killed_at == due:
            self._all_dead(agent, runner)

    def _all_dead(self, agent: Agent, runner: RunningAlloc) -> None:
        for task in runner.tasks.values():
            if task.state.state != DEAD:
                task.state.state, task.state.finished_at, task.due = DEAD, self._now, None
        if self._store.kernel.chance().random() >= _SHUT_DOWN_FIRST:
            self._judge(runner, healthy=False)
        runner.watch_until = None
        self._changed(agent, runner)

    def restore(self, agent: Agent, runner: RunningAlloc) -> None:
        """Take an allocation up again after the agent's restart; its tasks lived on."""
        group = self.group_of(runner.id)
        if group is None or self._is_over(runner):
            return
        runner.restored = True
        if runner.ends_at is not None:
            self._after(agent, runner.ends_at - self._now, "nomad.overrun", runner.id)
        for name, task in runner.tasks.items():
            if task.due is not None:
                self._after(agent, task.due - self._now, "nomad.task", runner.id, name, task.due)
        if runner.killed_at is not None:
            self._after(agent, runner.killed_at - self._now, "nomad.killed", runner.id, runner.killed_at)
        else:
            runner.all_running_since = None
            self._watch(agent, runner, group)
        self._report(agent, runner)

    # -- tasks

    def _after(self, agent: Agent, delay: float, kind: str, *args: str | float) -> None:
        self._store.kernel.after(delay, kind, agent.spec.name, agent.life, *args)

    def _set_due(self, agent: Agent, runner: RunningAlloc, name: str, delay: float) -> None:
        task = runner.tasks[name]
        task.due = self._now + delay
        self._after(agent, delay, "nomad.task", runner.id, name, task.due)

    def _advance(self, agent: Agent, runner: RunningAlloc, group: GroupSpec) -> None:
        """Start what may start now by its lifecycle."""
        states = {t.name: runner.tasks[t.name].state for t in group.tasks}
        before = [t for t in group.tasks if t.hook == "prestart"]
        main = [t for t in group.tasks if not t.hook]
        ready = all(states[t.name].state == RUNNING if t.sidecar else states[t.name].successful for t in before)
        main_up = ready and all(states[t.name].state != PENDING for t in main)
        main_over = all(states[t.name].state == DEAD for t in main)
        for task in group.tasks:
            if states[task.name].state != PENDING or runner.tasks[task.name].due is not None:
                continue
            may = {
                "prestart": True,
                "poststart": main_up,
                "poststop": main_over and all(states[t.name].state == DEAD for t in group.tasks if t.sidecar),
            }.get(task.hook, ready)
            if may:
                self._set_due(agent, runner, task.name, self._start_delay() + task.start_block)

    def _start_delay(self) -> float:
        delays = self._store.state.settings.delays
        return delays.task_start + delays.task_start_more * self._store.kernel.chance().random() ** 4

    def due(self, agent: Agent, alloc_id: str, name: str, due: float) -> None:
        """A task starts or ends by itself."""
        runner = agent.allocs.get(alloc_id)
        group = self.group_of(alloc_id)
        if runner is None or group is None or runner.tasks[name].due != due or runner.killed_at is not None:
            return
        spec = next(t for t in group.tasks if t.name == name)
        task = runner.tasks[name]
        task.due = None
        if task.state.state == PENDING:
            self._started(agent, runner, spec)
        else:
            self._ended(agent, runner, spec)
        self._settle(agent, runner, group)
        self._changed(agent, runner)

    def _started(self, agent: Agent, runner: RunningAlloc, spec: TaskSpec) -> None:
        if spec.start_error:
            self._ended(agent, runner, spec)
            return
        task = runner.tasks[spec.name]
        task.state.state, task.state.started_at = RUNNING, self._now
        run_for = spec.run_for
        if run_for is None:
            if spec.hook and not spec.sidecar:
                run_for = _HOOK_RUN_FOR
            elif self._type(runner) in ("batch", "sysbatch"):
                run_for = self._store.state.settings.batch_run_for
        if run_for is not None:
            self._set_due(agent, runner, spec.name, run_for)

    def _type(self, runner: RunningAlloc) -> str:
        return self._store.state.allocs[runner.id].job_type

    def _ended(self, agent: Agent, runner: RunningAlloc, spec: TaskSpec) -> None:
        """A task ended by itself: restart it by its policy, or let it be dead."""
        task, policy, now = runner.tasks[spec.name], spec.restart, self._now
        bad = spec.exit_code != 0 or bool(spec.start_error)
        endless = self._type(runner) in ("service", "system") and (not spec.hook or spec.sidecar)
        if bad or endless:
            task.restarts = [at for at in task.restarts if now - at < policy.interval]
            if len(task.restarts) < policy.attempts or policy.mode == "delay":
                wait = policy.delay
                if len(task.restarts) >= policy.attempts:  # mode delay: when the interval is over
                    wait = max(wait, task.restarts[0] + policy.interval - now if task.restarts else policy.interval)
                    task.restarts.clear()
                else:
                    task.restarts.append(now)
                task.state.state = PENDING
                task.state.restarts += 1
                self._set_due(agent, runner, spec.name, wait)
                return
            bad = True  # attempts exhausted
        task.state.state, task.state.failed, task.state.finished_at = DEAD, bad, now

    def _settle(self, agent: Agent, runner: RunningAlloc, group: GroupSpec) -> None:
        """Follow up on a task's end: a failed or leading one takes the others along; then what comes next starts."""
        states = {t.name: runner.tasks[t.name].state for t in group.tasks}
        failed = any(s.failed for s in states.values())
        led = any(t.leader and states[t.name].state == DEAD for t in group.tasks)
        main_over = all(states[t.name].state == DEAD for t in group.tasks if not t.hook)
        for task in group.tasks:
            state = states[task.name]
            ends = failed or led or (main_over and task.sidecar)
            if ends and task.hook != "poststop" and state.state != DEAD:
                state.state, state.finished_at = DEAD, self._now
                runner.tasks[task.name].due = None
        self._advance(agent, runner, group)
        self._observe_health(agent, runner, group)

    @staticmethod
    def _is_over(runner: RunningAlloc) -> bool:
        return runner.client in (al.COMPLETE, al.FAILED)

    def _changed(self, agent: Agent, runner: RunningAlloc) -> None:
        """Say anew how the allocation is, from its tasks."""
        states = [t.state for t in runner.tasks.values()]
        if any(s.state == DEAD and s.failed for s in states):
            status = al.FAILED
        elif any(s.state == RUNNING for s in states):
            status = al.RUNNING
        elif any(s.state == PENDING for s in states):
            status = al.PENDING
        else:
            status = al.COMPLETE
        runner.client = status
        runner.description = _OVERRAN if runner.overran and status == al.COMPLETE else _DESCRIPTIONS[status]
        if status == al.FAILED and runner.deployment_id:
            self._judge(runner, healthy=False)
        self._report(agent, runner)

    # -- health

    def _watch(self, agent: Agent, runner: RunningAlloc, group: GroupSpec) -> None:
        """Watch the health of a service or system job's allocation until there is a verdict."""
        if runner.healthy is not None or self._type(runner) not in ("service", "system"):
            return
        if runner.deployment_id:
            update = group.update
            if update is None or not group.rolls or update.health_check == "manual":
                return
            deadline = update.healthy_deadline
        else:
            deadline = group.migrate.healthy_deadline if group.migrate is not None else _MIGRATE_DEADLINE
        if runner.watch_until is None:
            runner.watch_until = self._now + deadline
            self._after(agent, deadline, "nomad.health", runner.id, runner.watch_until)
        self._observe_health(agent, runner, group)

    def _observe_health(self, agent: Agent, runner: RunningAlloc, group: GroupSpec) -> None:
        if runner.watch_until is None or runner.healthy is not None:
            return
        up = True
        for task in group.tasks:
            state = runner.tasks[task.name].state
            if task.hook == "poststop" or (task.hook == "poststart" and state.successful):
                continue
            done = state.state == DEAD and not (task.hook == "prestart" and not task.sidecar)
            if state.failed or done:
                self._judge(runner, healthy=False)
                return
            up = up and state.state != PENDING
        if not up:
            runner.all_running_since = None
        elif runner.all_running_since is None:
            runner.all_running_since = self._now
            self._after(agent, self._min_healthy(runner, group), "nomad.health", runner.id, self._now)

    @staticmethod
    def _min_healthy(runner: RunningAlloc, group: GroupSpec) -> float:
        if runner.deployment_id and group.update is not None:
            return group.update.min_healthy_time
        return group.migrate.min_healthy_time if group.migrate is not None else _MIGRATE_MIN_HEALTHY

    def health_due(self, agent: Agent, alloc_id: str, stamp: float) -> None:
        """It ran long enough to be healthy, or the deadline came first."""
        runner = agent.allocs.get(alloc_id)
        if runner is None or runner.watch_until is None or runner.healthy is not None:
            return
        if stamp == runner.all_running_since:
            self._judge(runner, healthy=True)
        elif stamp == runner.watch_until:
            self._judge(runner, healthy=False)
        else:
            return
        self._report(agent, runner)

    def _judge(self, runner: RunningAlloc, *, healthy: bool) -> None:
        """Give the verdict, once."""
        if runner.healthy is not None or runner.watch_until is None:
            return
        runner.healthy, runner.health_at, runner.watch_until = healthy, self._now, None
