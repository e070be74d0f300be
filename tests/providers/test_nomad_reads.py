"""What the real provider reads over HTTP: the same as the port gives, in as few requests as can be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from providers.http import Message
from providers.nomad import client
from providers.nomad.client import NomadCluster
from providers.sandbox.world.servers import agents
from schemas.faults import UnansweredError
from schemas.world import ServerView
from support.nomad_jobs import Running, a_job, running, wait

LISTS = ("nodes", "jobs", "evaluations", "allocations", "node_pools", "broker_paused")


async def look(cluster: NomadCluster) -> dict[str, Any]:
    return {name: await getattr(cluster, name)() for name in LISTS}


def test_over_http_it_is_the_same_cluster() -> None:
    async def work(wired: Running) -> None:
        hosts = wired.hosts
        port, http = wired.nomad.at(hosts), wired.real.at(hosts)
        for name in LISTS:
            assert await getattr(http, name)() == await getattr(port, name)(), name
        for ask in ("autopilot", "raft_configuration", "members"):
            assert await getattr(http, ask)() == await getattr(port, ask)(), ask
        assert [j.name for j in await http.jobs()] == ["agent", "nightly", "team/api", "too-big", "web"]
        assert {e.job_id for e in await http.evaluations()} == {"too-big"}

    running(work)


def test_a_tick_where_nothing_changed_asks_for_six_lists_at_any_size() -> None:
    async def work(wired: Running) -> None:
        few = wired.real.at(hosts := wired.hosts)
        await look(few)
        before = few.channel.traffic.requests
        await look(few)
        assert few.channel.traffic.requests - before == len(LISTS)
        assert wired.real.at(hosts) is few

    running(work)


def test_what_changed_is_read_again_and_nothing_else() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        first = await look(cluster)
        node = first["nodes"][0]
        await cluster.effects.set_eligibility(node.id, eligible=False)
        wired.world.nomad.api.register_job({"Job": a_job("web", count=5)})
        before = cluster.channel.traffic.requests
        again = await look(cluster)
        assert cluster.channel.traffic.requests - before == len(LISTS) + 2
        assert [n.id for n in again["nodes"] if not n.eligible] == [node.id]
        assert next(j for j in again["jobs"] if j.id == "web").groups[0].count == 5

    running(work)


def test_a_purged_job_and_a_purged_node_are_gone() -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        node = (await look(cluster))["nodes"][0]
        wired.world.nomad.api.deregister_job("web", purge=True)
        wired.world.nomad.kill_agent(wired.world.nomad.state.known[node.id])
        await wait(wired, 60)
        await cluster.effects.purge(node.id)
        await cluster.effects.purge(node.id)  # asking twice is asking once
        again = await look(cluster)
        assert node.id not in {n.id for n in again["nodes"]}
        assert "web" not in {j.id for j in again["jobs"]}

    running(work)


def test_jobs_that_have_ended_are_known_from_the_list_alone() -> None:
    async def work(wired: Running) -> None:
        wired.world.nomad.api.deregister_job("web")
        await wait(wired, 30)
        cluster = wired.real.at(wired.hosts)
        jobs = {job.id: job for job in await cluster.jobs()}
        assert cluster.channel.traffic.requests == 2 + len(jobs) - 1  # whether the token sees all is asked once
        assert (jobs["web"].stopped, jobs["web"].groups) == (True, ())
        assert jobs["team/api"].groups[0].count == 2

    running(work)


def test_a_large_table_of_allocations_is_asked_whether_it_changed_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "LARGE", 3)

    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        whole = await cluster.allocations()
        received = cluster.channel.traffic.received
        assert await cluster.allocations() == whole
        assert cluster.channel.traffic.received - received < 2000
        wired.world.nomad.api.register_job({"Job": a_job("more", count=1)})
        await wait(wired, 20)
        assert len(await cluster.allocations()) == len(whole) + 1

    running(work)


def test_memory_goes_on_when_servers_are_replaced_one_by_one() -> None:
    async def work(wired: Running) -> None:
        first, second, third = wired.hosts
        await look(wired.real.at([first, second, third]))
        later = wired.real.at([second, third, "10.9.9.9"])
        await look(later)
        assert later.channel.traffic.requests == len(LISTS)
        other = wired.real.at(["10.9.9.9"])
        with pytest.raises(UnansweredError, match="nobody answers"):
            await other.nodes()

    running(work)


def test_one_server_is_looked_at_by_itself_and_never_raises() -> None:
    async def work(wired: Running) -> None:
        hosts = wired.hosts
        port, http = wired.nomad.at(hosts), wired.real.at(hosts)
        assert await http.server_view(hosts[0]) == await port.server_view(hosts[0])
        agents.kill(wired.world.servers, hosts[1])
        assert await http.server_view(hosts[1]) == ServerView(address=hosts[1], reachable=False)
        agents.freeze(wired.world.servers, hosts[2])
        begun = wired.clock.seconds()
        assert await http.server_view(hosts[2]) == ServerView(address=hosts[2], reachable=False)
        assert wired.clock.seconds() - begun <= 2.5
        view = await http.server_view(hosts[0])
        assert view.reachable
        assert view.ready is False

    running(work)


def test_without_a_leader_reads_are_unanswered_and_say_what_it_means() -> None:
    async def work(wired: Running) -> None:
        hosts = wired.hosts
        for host in hosts[:2]:
            agents.kill(wired.world.servers, host)
        await wait(wired, 20)
        cluster = wired.real.at(hosts)
        begun = wired.clock.seconds()
        with pytest.raises(UnansweredError, match=r"knows no leader.*quorum is lost"):
            await cluster.nodes()
        assert 4 <= wired.clock.seconds() - begun <= 8

    running(work)


def test_an_address_that_is_dead_costs_nothing_but_the_next_one() -> None:
    async def work(wired: Running) -> None:
        hosts = wired.hosts
        cluster = wired.real.at(["10.9.9.9", *hosts])
        assert len(await cluster.nodes()) == 3
        assert cluster.channel.preferred == 1

    running(work)


# --- answers that cannot be believed ---------------------------------------------------------------------------------


def altered(path: str, change: Any) -> Any:
    """Put something before the wire that changes a path's answers: (status, headers, body) → the same."""

    def between(app: Any) -> Any:
        async def changed(scope: Message, receive: Any, send: Any) -> None:
            if scope["path"] != path:
                await app(scope, receive, send)
                return
            scope = {**scope, "headers": [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]}
            heard: list[Message] = []

            async def hear(message: Message) -> None:
                heard.append(message)

            await app(scope, receive, hear)
            headers = {k.decode().lower(): v.decode() for k, v in heard[0]["headers"]}
            status, headers, body = change(heard[0]["status"], headers, heard[1]["body"])
            headers.pop("content-length", None)
            pairs = [(k.encode(), v.encode()) for k, v in headers.items()]
            await send({"type": "http.response.start", "status": status, "headers": pairs})
            await send({"type": "http.response.body", "body": body})

        return changed

    return between


def without_header(name: str) -> Any:
    return lambda status, headers, body: (status, {k: v for k, v in headers.items() if k != name}, body)


def with_rows(change: Any) -> Any:
    def changed(status: int, headers: Any, body: bytes) -> Any:
        return status, headers, msgspec.json.encode([change(row) for row in msgspec.json.decode(body)])

    return changed


def lacking(*names: str) -> Any:
    return with_rows(lambda row: {k: v for k, v in row.items() if k not in names})


@pytest.mark.parametrize(
    ("ask", "path", "change"),
    [
        ("nodes", "/v1/nodes", without_header("x-nomad-index")),
        ("nodes", "/v1/nodes", lambda _, headers, body: (200, {**headers, "x-nomad-index": "0"}, body)),
        ("nodes", "/v1/nodes", without_header("x-nomad-knownleader")),
        ("nodes", "/v1/nodes", lambda _, headers, body: (200, {**headers, "x-nomad-knownleader": "false"}, body)),
        ("nodes", "/v1/nodes", lambda _, headers, __: (200, {**headers, "x-nomad-nexttoken": "x"}, b"[]")),
        ("nodes", "/v1/nodes", lambda status, headers, body: (status, headers, body[:-40])),
        ("nodes", "/v1/nodes", lambda status, headers, _: (status, headers, b"")),
        ("nodes", "/v1/nodes", lambda status, headers, _: (status, headers, b"null")),
        ("nodes", "/v1/nodes", lambda status, headers, _: (status, headers, b'{"errors": []}')),
        ("nodes", "/v1/nodes", lacking("ID")),
        ("nodes", "/v1/nodes", lacking("ModifyIndex")),
        ("jobs", "/v1/jobs", lacking("JobModifyIndex")),
        ("jobs", "/v1/jobs", with_rows(lambda row: {**row, "Type": None})),
        ("allocations", "/v1/allocations", lacking("AllocatedResources")),
        ("allocations", "/v1/allocations", with_rows(lambda row: {**row, "AllocatedResources": None})),
        ("allocations", "/v1/allocations", lacking("ClientStatus")),
        ("evaluations", "/v1/evaluations", lacking("CreateTime")),
        ("node_pools", "/v1/node/pools", lacking("Name")),
        ("broker_paused", "/v1/operator/scheduler/configuration", lambda s, h, _: (s, h, b"{}")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (200, {"content-type": "text/html"}, b"<html>Sign in</html>")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (403, {"content-type": "text/plain"}, b"Permission denied")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (404, {"content-type": "text/html"}, b"<html>404</html>")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (404, {}, b"")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (302, {"location": "https://sso/"}, b"")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (500, {}, b"rpc error: stream closed")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (500, {}, b"raft apply failed: leadership lost")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (502, {}, b"bad gateway")),
        ("nodes", "/v1/nodes", lambda _, __, ___: (429, {}, b"Your IP is issuing too many concurrent connections")),
        ("autopilot", "/v1/operator/autopilot/health", lambda _, __, ___: (429, {}, b"Your IP is issuing too many")),
    ],
)
def test_what_is_no_whole_answer_is_unanswered_never_empty(ask: str, path: str, change: Any) -> None:
    async def work(wired: Running) -> None:
        cluster = wired.real.at(wired.hosts)
        with pytest.raises(UnansweredError):
            await getattr(cluster, ask)()

    running(work, between=altered(path, change))


def test_unknown_fields_are_tolerated() -> None:
    async def work(wired: Running) -> None:
        hosts = wired.hosts
        assert await wired.real.at(hosts).nodes() == await wired.nomad.at(hosts).nodes()

    running(work, between=altered("/v1/nodes", with_rows(lambda row: {**row, "New": {"in": "3.0"}})))


def test_a_node_whose_details_lack_what_matters_leaves_all_nodes_unanswered() -> None:
    def between(app: Any) -> Any:
        async def changed(scope: Message, receive: Any, send: Any) -> None:
            await app({**scope, "path": scope["path"]}, receive, _dropping(send, scope["path"]))

        return changed

    def _dropping(send: Any, path: str) -> Any:
        async def sent(message: Message) -> None:
            if path.startswith("/v1/node/") and path != "/v1/node/pools" and message["type"] == "http.response.body":
                message = {**message, "body": b'{"ID": "x", "Status": "ready"}' + b" " * (len(message["body"]) - 30)}
            await send(message)

        return sent

    async def work(wired: Running) -> None:
        with pytest.raises(UnansweredError, match="SchedulingEligibility is missing"):
            await wired.real.at(wired.hosts).nodes()

    running(work, between=lambda app: unzipped(between(app)))


def unzipped(app: Any) -> Any:
    async def asked(scope: Message, receive: Any, send: Any) -> None:
        await app({**scope, "headers": [(k, v) for k, v in scope["headers"] if k != b"accept-encoding"]}, receive, send)

    return asked


def test_jobs_are_believed_only_of_a_token_that_sees_namespaces_of_any_name() -> None:
    def narrowed(app: Any) -> Any:
        async def asked(scope: Message, receive: Any, send: Any) -> None:
            if b"namespace=nomad-reconciler-any" not in scope["query_string"]:
                await app(scope, receive, send)
                return
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"Permission denied"})

        return asked

    async def work(wired: Running) -> None:
        with pytest.raises(UnansweredError, match=r"does not see all jobs.*reconcile iam"):
            await wired.real.at(wired.hosts).jobs()

    running(work, between=narrowed)
