"""What the provider says of a cluster and does to it, the same simulated and real: one body for both.

The real one is three servers and two clients on loopback addresses, where there is a ``nomad`` on PATH.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import anyio
import pytest

from providers.nomad import client
from schemas.faults import Refusal, RefusedError
from support.nomad_site import Site, Work, real, simulated
from support.real_nomad import needs_nomad

UNKNOWN = "00000000-0000-0000-0000-000000000000"

On = Callable[[Work], None]
_NAMES = count()


@pytest.fixture(
    params=[
        "simulated",
        pytest.param("real", marks=[needs_nomad, pytest.mark.xdist_group("real-nomad")]),
    ]
)
def on(request: pytest.FixtureRequest) -> On:
    if request.param == "simulated":
        return simulated
    cluster = request.getfixturevalue("real_nomad")
    return lambda work: real(cluster, work)


# --- what is there ---------------------------------------------------------------------------------------------------


def test_nodes_are_listed_in_full(on: On) -> None:
    async def work(site: Site) -> None:
        nodes = await site.cluster.nodes()
        assert len(nodes) == 2
        for node in nodes:
            assert node.ready
            assert (node.datacenter, node.node_pool) == ("dc1", "default")
            assert node.total.cpu_mhz >= 1000
            assert node.total.memory_mib >= 1000
            assert node.total.disk_mib > 0
            assert node.drivers[site.driver]
            assert node.attributes["kernel.name"] == "linux"
            assert node.version == "2.0.5"
            assert node.registered_at is not None
            assert node.network_modes >= {"host"}
            assert node.host_networks >= {"default"}
            assert node.dynamic_ports == (20000, 32000)

    on(work)


def test_lists_in_which_nothing_is_are_believed(on: On) -> None:
    async def work(site: Site) -> None:
        assert await site.cluster.jobs() == ()
        assert await site.cluster.allocations() == ()
        assert await site.cluster.evaluations() == ()
        assert {"all", "default"} <= await site.cluster.node_pools()
        assert await site.cluster.broker_paused() is False

    on(work)


def test_a_copy_that_runs_is_seen_with_what_it_takes(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("web", count=3, cpu=100))
        found = await site.running("web", 3)
        nodes = {node.id for node in await site.cluster.nodes()}
        for copy in found:
            assert (copy.namespace, copy.group, copy.job_type) == ("default", "g", "service")
            assert copy.node_id in nodes
            assert (copy.usage.cpu_mhz, copy.usage.memory_mib, copy.usage.disk_mib) == (100, 20, 10)
            assert len(copy.ports) == 1
            assert all(20000 <= port <= 32000 for port in copy.ports)
            assert copy.created_at is not None
        job = await site.job_named("web")
        assert job is not None
        assert (job.queued, job.groups[0].count, job.groups[0].ask.cpu_mhz) == ({"g": 0}, 3, 100)
        assert job.groups[0].drivers == {site.driver}

    on(work)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"cpu": 90_000}, ("dimensions", "cpu")),
        (
            {"Constraints": [{"LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "plan9"}]},
            ("constraints", "plan9"),
        ),
    ],
    ids=["too large", "constrained"],
)
def test_work_that_waits_is_queued_and_its_evaluation_says_why(
    on: On, change: dict[str, object], why: tuple[str, str]
) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("waits", count=3, **change))  # type: ignore[arg-type]
        (blocked,) = await site.blocked("waits")
        job = await site.job_named("waits")
        assert job is not None
        assert job.queued == {"g": 3}
        assert (blocked.type, blocked.triggered_by, blocked.node_id) == ("service", "queued-allocs", "")
        kind, word = why
        reasons = getattr(blocked.failures["g"], kind)
        assert any(word in reason for reason in reasons)
        assert blocked.failures["g"].nodes_evaluated == 2

    on(work)


def test_a_job_for_nobody_s_datacenter_finds_no_node_at_all(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("far", Datacenters=["dc9"]))
        (blocked,) = await site.blocked("far")
        assert blocked.failures["g"].nodes_evaluated == 0

    on(work)


def test_system_jobs_are_on_every_node_and_parents_want_nothing(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("agent", Type="system"))
        night = {"Enabled": True, "Spec": "0 3 * * *", "SpecType": "cron"}
        await site.register(site.job("nightly", Type="batch", Periodic=night))
        copies = await site.running("agent", 2)
        assert len({copy.node_id for copy in copies}) == 2
        assert all(copy.overhead for copy in copies)
        nightly = await site.job_named("nightly")
        assert nightly is not None
        assert nightly.parent
        assert not any(nightly.queued.values())

    on(work)


def test_a_job_of_another_namespace_is_seen(on: On) -> None:
    async def work(site: Site) -> None:
        await site.cluster.channel.write("PUT", "/v1/namespace/team", body={"Name": "team"})
        await site.register({**site.job("theirs"), "Namespace": "team"})
        await site.running("theirs", 1)
        job = await site.job_named("theirs")
        assert job is not None
        assert job.name == "team/theirs"
        assert await site.cluster.job_plan("team", "theirs") is not None
        assert await site.cluster.job_plan("default", "theirs") is None
        gone = (("namespace", "team"), ("purge", "true"))
        await site.cluster.channel.write("DELETE", "/v1/job/theirs", gone)

    on(work)


def test_a_job_that_was_stopped_is_seen_as_such_and_a_purged_one_is_gone(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("a/b", count=2))
        await site.running("a/b", 2)
        await site.cluster.channel.write("DELETE", "/v1/job/a%2Fb")

        async def ended() -> bool:
            return not await site.copies("a/b")

        await site.until(ended, "its copies end")
        stopped = await site.job_named("a/b")
        assert stopped is not None
        assert stopped.stopped
        await site.cluster.channel.write("DELETE", "/v1/job/a%2Fb", (("purge", "true"),))
        assert await site.job_named("a/b") is None

    on(work)


def test_a_tick_where_nothing_changed_is_six_requests_and_one_change_is_one_more(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("web", count=2))
        await site.running("web", 2)
        traffic = site.cluster.channel.traffic

        async def six() -> bool:
            before = traffic.requests
            await look(site)
            return traffic.requests - before == 6

        await site.until(six, "a look at what does not change is six requests")
        node = (await site.cluster.nodes())[0]
        await site.cluster.effects.set_eligibility(node.id, eligible=False)
        before = traffic.requests
        await look(site)
        assert traffic.requests - before == 7

    on(work)


async def look(site: Site) -> None:
    cluster = site.cluster
    for ask in (cluster.nodes, cluster.jobs, cluster.evaluations, cluster.allocations, cluster.node_pools):
        await ask()
    await cluster.broker_paused()


def test_a_paused_broker_is_seen(on: On) -> None:
    async def work(site: Site) -> None:
        path = "/v1/operator/scheduler/configuration"
        preemption = {"SystemSchedulerEnabled": True}
        settings = {"SchedulerAlgorithm": "binpack", "PreemptionConfig": preemption}
        await site.cluster.channel.write("PUT", path, body={**settings, "PauseEvalBroker": True})
        try:
            assert await site.cluster.broker_paused() is True
            await site.register(site.job("later"))
            await anyio.sleep(1)
            assert [e.status for e in await site.cluster.evaluations() if e.job_id == "later"] == ["pending"]
        finally:
            await site.cluster.channel.write("PUT", path, body={**settings, "PauseEvalBroker": False})
        await site.running("later", 1)

    on(work)


# --- what is done ----------------------------------------------------------------------------------------------------


def test_a_drain_is_begun_changed_and_taken_back_with_its_author(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("once", Type="batch", count=2))  # batch work waits for the deadline
        copies = await site.running("once", 2)
        held = copies[0].node_id
        ours = {"by": "nomad-reconciler", "claim": "general-1", "reason": "idle"}
        written = await site.cluster.effects.drain(held, deadline=timedelta(minutes=15), meta=ours)
        assert written.index > 0
        node = await site.node(held)
        assert (node.draining, node.eligible, node.drain_meta) == (True, False, ours)
        await site.cluster.effects.drain(held, deadline=timedelta(minutes=30), meta={**ours, "reason": "notice"})
        assert (await site.node(held)).drain_meta["reason"] == "notice"
        await site.cluster.effects.cancel_drain(held, eligible=True, meta=ours)
        node = await site.node(held)
        assert (node.draining, node.eligible) == (False, True)
        assert {c.id for c in await site.copies("once")} == {c.id for c in copies}

    on(work)


def test_a_drain_moves_services_and_leaves_the_node_ineligible(on: On) -> None:
    async def work(site: Site) -> None:
        quick = site.job("web", count=2, Update={"MinHealthyTime": 10**8, "HealthCheck": "task_states"})
        quick["TaskGroups"][0]["Migrate"] = {"MaxParallel": 2, "MinHealthyTime": 10**8, "HealthCheck": "task_states"}
        await site.register(quick)
        copies = await site.running("web", 2)
        held = copies[0].node_id
        await site.cluster.effects.drain(held, deadline=timedelta(minutes=5), meta={"by": "nomad-reconciler"})

        async def moved() -> bool:
            now = await site.copies("web")
            return len(now) == 2 and all(c.node_id != held and c.client == "running" for c in now)

        await site.until(moved, "both run elsewhere")

        async def done() -> bool:
            node = await site.node(held)
            return not node.draining and not node.eligible

        await site.until(done, "the drain is complete")

    on(work)


def test_eligibility_is_set_and_setting_it_again_changes_nothing(on: On) -> None:
    async def work(site: Site) -> None:
        node = (await site.cluster.nodes())[0]
        assert (await site.cluster.effects.set_eligibility(node.id, eligible=False)).index > 0
        assert (await site.cluster.effects.set_eligibility(node.id, eligible=False)).index == 0
        assert (await site.node(node.id)).eligible is False
        written = await site.cluster.effects.set_eligibility(node.id, eligible=True)
        assert written.index > 0
        assert (await site.node(node.id)).eligible is True

    on(work)


def test_a_node_that_is_not_there_is_refused_and_purging_it_is_done(on: On) -> None:
    async def work(site: Site) -> None:
        effects = site.cluster.effects
        for act in (
            effects.set_eligibility(UNKNOWN, eligible=False),
            effects.drain(UNKNOWN, deadline=timedelta(minutes=1)),
            effects.cancel_drain(UNKNOWN, eligible=True),
        ):
            with pytest.raises(RefusedError, match="node not found"):
                await act
        await effects.purge(UNKNOWN)

    on(work)


def test_a_node_whose_machine_is_gone_reads_down_and_is_forgotten_when_it_is_purged(on: On) -> None:
    async def work(site: Site) -> None:
        node = (await site.cluster.nodes())[0]
        site.machines.kill_client(node.name)
        try:

            async def down() -> bool:
                return (await site.node(node.id)).status == "down"

            await site.until(down, "its heartbeats are missed", seconds=90)
            await site.cluster.effects.purge(node.id)
            await site.cluster.effects.purge(node.id)  # asking twice is asking once
            assert node.id not in {n.id for n in await site.cluster.nodes()}
        finally:
            site.machines.mend_client(node.name)

        async def back() -> bool:
            return len([n for n in await site.cluster.nodes() if n.ready]) == 2

        await site.until(back, "it registers again", seconds=90)

    on(work)


def test_a_job_is_evaluated_and_what_cannot_be_is_refused(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("web"))
        await site.running("web", 1)
        assert (await site.cluster.effects.evaluate_job("default", "web")).evaluations
        with pytest.raises(RefusedError, match="job not found"):
            await site.cluster.effects.evaluate_job("default", "nothing")
        night = {"Enabled": True, "Spec": "0 3 * * *", "SpecType": "cron"}
        await site.register(site.job("nightly", Type="batch", Periodic=night))
        with pytest.raises(RefusedError, match="can't evaluate periodic job"):
            await site.cluster.effects.evaluate_job("default", "nightly")

    on(work)


def test_a_batch_copy_that_is_stopped_is_replaced(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("once", Type="batch"))
        (copy,) = await site.running("once", 1)
        assert (await site.cluster.effects.stop_allocation(copy.id)).evaluations

        async def replaced() -> bool:
            now = await site.copies("once")
            return bool(now) and now[0].id != copy.id and now[0].client == "running" and len(now) == 1

        await site.until(replaced, "another copy runs")
        with pytest.raises(RefusedError, match="alloc"):
            await site.cluster.effects.stop_allocation(UNKNOWN)

    on(work)


def test_a_plan_of_what_waits_tells_how_much_would_find_room_now(on: On) -> None:
    async def work(site: Site) -> None:
        await site.register(site.job("web"))
        await site.running("web", 1)
        plan = await site.cluster.job_plan("default", "web")
        assert plan is not None
        assert (plan.placed, plan.failed) == ({}, {})

        for node in (nodes := await site.cluster.nodes()):
            await site.cluster.effects.set_eligibility(node.id, eligible=False)
        await site.register(site.job("waits", count=2))
        await site.blocked("waits")
        closed = await site.cluster.job_plan("default", "waits")
        assert closed is not None
        assert (closed.placed, closed.failed) == ({}, {"g": 2})
        assert closed.failures["g"].nodes_evaluated == 0

        too_large = site.job("large", count=2, cpu=90_000)
        await site.register(too_large)
        await site.blocked("large")
        await site.cluster.effects.set_eligibility(nodes[0].id, eligible=True)
        large = await site.cluster.job_plan("default", "large")
        assert large is not None
        assert large.failed == {"g": 2}
        assert "cpu" in large.failures["g"].dimensions
        assert await site.cluster.job_plan("default", "nothing") is None

    on(work)


def test_a_node_pool_is_made_once_and_a_bad_name_is_refused(on: On) -> None:
    async def work(site: Site) -> None:
        await site.cluster.create_node_pool("gpu")
        await site.cluster.create_node_pool("gpu")
        assert "gpu" in await site.cluster.node_pools()
        with pytest.raises(RefusedError, match="invalid node pool"):
            await site.cluster.create_node_pool("no spaces")
        with pytest.raises(RefusedError, match="node pool"):
            await site.register(site.job("lost", NodePool="nowhere"))

    on(work)


# --- servers ---------------------------------------------------------------------------------------------------------


async def all_healthy(site: Site) -> None:
    async def done() -> bool:
        autopilot = await site.cluster.autopilot()
        voters = [s for s in autopilot.servers if s.voter]
        return autopilot.healthy and len(voters) == 3 and autopilot.failure_tolerance == 1

    await site.until(done, "three healthy voters", seconds=90)


def test_servers_are_seen_by_themselves_by_raft_by_gossip_and_by_autopilot(on: On) -> None:
    async def work(site: Site) -> None:
        await all_healthy(site)
        autopilot, raft = await site.cluster.autopilot(), await site.cluster.raft_configuration()
        members = await site.cluster.members()
        assert {s.id for s in autopilot.servers} == {p.id for p in raft} == {m.id for m in members}
        assert sorted(m.address for m in members) == sorted(site.hosts)
        assert {m.status for m in members} == {"alive"}
        assert {m.build for m in members} == {"2.0.5"}
        (leader,) = [p.address for p in raft if p.leader]
        assert all(p.voter for p in raft)
        assert all(s.version == "2.0.5" and s.serf_status == "alive" and s.stable_since for s in autopilot.servers)
        for host in site.hosts:
            view = await site.cluster.server_view(host)
            assert (view.address, view.reachable, view.ready, view.leader) == (host, True, True, leader)
            assert {p.id for p in view.peers or ()} == {p.id for p in raft}
            assert sorted(view.members or ()) == sorted(site.hosts)

    on(work)


def test_leadership_is_handed_over_and_others_see_it(on: On) -> None:
    async def work(site: Site) -> None:
        await all_healthy(site)
        raft = await site.cluster.raft_configuration()
        heir = next(p for p in raft if not p.leader)
        await site.cluster.transfer_leadership(heir.id)

        async def seen() -> bool:
            views = [await site.cluster.server_view(host) for host in site.hosts]
            return sum(v.leader == heir.address for v in views) >= 2

        await site.until(seen, "two servers name the heir")
        await site.cluster.transfer_leadership(heir.id)  # it leads: nothing changes
        assert next(p for p in await site.cluster.raft_configuration() if p.leader).id == heir.id
        with pytest.raises(RefusedError):
            await site.cluster.transfer_leadership(UNKNOWN)

    on(work)


def test_a_peer_that_is_not_there_is_out_and_unknown_members_stay_unknown(on: On) -> None:
    async def work(site: Site) -> None:
        await site.cluster.remove_peer(UNKNOWN)
        await site.cluster.force_leave("nobody.global")
        assert len(await site.cluster.raft_configuration()) == 3
        assert await site.cluster.join(site.hosts[0], [site.hosts[1]]) == 1

    on(work)


def test_a_frozen_server_does_not_answer_and_costs_little_time(on: On) -> None:
    async def work(site: Site) -> None:
        await all_healthy(site)
        raft = await site.cluster.raft_configuration()
        victim = next(p.address.partition(":")[0] for p in raft if not p.leader)
        site.machines.freeze_server(victim)
        try:
            begun = anyio.current_time()
            view = await site.cluster.server_view(victim)
            assert (view.reachable, view.peers) == (False, None)
            assert anyio.current_time() - begun <= 2.5
            assert len(await site.cluster.nodes()) == 2
        finally:
            site.machines.mend_server(victim)
        await all_healthy(site)

    on(work)


def test_a_killed_leader_is_followed_by_another_and_reads_go_on(on: On) -> None:
    async def work(site: Site) -> None:
        await all_healthy(site)
        raft = await site.cluster.raft_configuration()
        victim = next(p.address.partition(":")[0] for p in raft if p.leader)
        site.machines.kill_server(victim)
        try:
            assert len(await site.cluster.nodes()) == 2  # within its patience the provider finds the next leader
            view = await site.cluster.server_view(victim)
            assert view.reachable is False
            assert (await site.cluster.autopilot()).servers is not None
        finally:
            site.machines.mend_server(victim)
        await all_healthy(site)

    on(work)


def test_a_snapshot_of_the_state_has_the_digest_that_is_named(on: On) -> None:
    async def work(site: Site) -> None:
        saved = await site.cluster.snapshot()
        assert saved.archive[:2] == b"\x1f\x8b"
        assert len(saved.sha256) == 64

    on(work)


def test_without_acls_there_is_nothing_to_bootstrap(on: On) -> None:
    async def work(site: Site) -> None:
        with pytest.raises(RefusedError, match="ACL support disabled") as refused:
            await site.cluster.acl_bootstrap(UNKNOWN)
        assert refused.value.why is Refusal.INVALID

    on(work)


# --- the event stream ------------------------------------------------------------------------------------------------


def test_a_large_table_is_kept_by_the_event_stream(on: On, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGE", 2)

    async def work(site: Site) -> None:
        await site.register(site.job("web", count=3))
        await site.running("web", 3)
        await site.cluster.jobs()
        await site.cluster.allocations()
        read_at = site.cluster._memory.allocations.read_at
        for copies in (5, 2, 4):
            await site.register(site.job("web", count=copies))
            await site.running("web", copies)
        assert site.cluster._memory.allocations.read_at == read_at

        name = f"later-{next(_NAMES)}"  # a stream tells of the namespaces that were there at its beginning
        write = site.cluster.channel.write
        await write("PUT", f"/v1/namespace/{name}", body={"Name": name})
        await write("PUT", "/v1/jobs", body={"Job": site.job("theirs", Namespace=name)})

        async def seen() -> bool:
            await site.register(site.job("web", count=3 + next(_NAMES) % 2))  # other things happen too
            await site.cluster.jobs()
            return len(await site.copies("theirs")) == 1

        assert await site.until(seen, "the work of a new namespace is seen") < 10
        await write("DELETE", "/v1/job/theirs", (("namespace", name), ("purge", "true")))

    on(work)
