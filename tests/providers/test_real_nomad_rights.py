"""Rights and TLS against a real Nomad: one server with ACLs and mTLS, and what it says to whom."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import msgspec
import pytest

from providers.http import Tls
from providers.nomad import client
from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from schemas.faults import Refusal, RefusedError, UnansweredError
from support.certificates import Authority, Pair
from support.nomad_site import Site, a_sleeper, real
from support.real_nomad import RealCluster, needs_nomad, started

pytestmark = [needs_nomad, pytest.mark.xdist_group("real-nomad")]

SECRET, OTHER = "3b1ee0b4-67a4-4c0f-9ac1-5f4a7a6f2c11", "7f0c3a52-1b6e-4a3e-8f55-0d6c1a9b2e44"
MAY_READ = 'node { policy = "read" }\noperator { policy = "read" }\nnode_pool "*" { policy = "read" }\n'

Work = Callable[[NomadCluster], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """The server, and the certificates that it believes."""

    cluster: RealCluster
    ca: str
    ours: Pair

    def asked(self, work: Work, *, token: str = "", tls: Tls | None = None) -> None:
        """Ask as somebody, by default with a certificate."""
        known = Tls(ca=self.ca, cert=self.ours.cert, key=self.ours.key)
        settings = NomadSettings(address="https://127.0.0.1:4646", token=token, tls=tls or known)

        async def opened() -> None:
            async with RealNomadDoor(settings, chance=lambda: 0.0) as door:
                await work(door.at([self.cluster.servers[0].address]))

        anyio.run(opened)

    def token(self, rules: str, name: str = "some") -> str:
        """Make a token with these rights."""
        made: list[str] = []

        async def make(cluster: NomadCluster) -> None:
            policy = {"Name": name, "Rules": rules}
            await cluster.channel.write("PUT", f"/v1/acl/policy/{name}", body=policy)
            token = {"Name": name, "Type": "client", "Policies": [name]}
            made.append(
                msgspec.json.decode((await cluster.channel.write("PUT", "/v1/acl/token", body=token)).body)["SecretID"]
            )

        self.asked(make, token=SECRET)
        return made[0]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    authority = Authority(tmp_path_factory.mktemp("tls"))
    pair, ours = authority.issue("server.global.nomad"), authority.issue("cli.global.nomad")
    tls = {
        "http": True,
        "rpc": True,
        "ca_file": authority.cert,
        "cert_file": pair.cert,
        "key_file": pair.key,
        "verify_server_hostname": True,
        "verify_https_client": True,
    }
    with started(servers=1, clients=0, extra={"acl": {"enabled": True}, "tls": tls}, wait=False) as cluster:
        made = Guarded(cluster=cluster, ca=authority.cert, ours=ours)

        async def first(nomad: NomadCluster) -> None:
            with anyio.fail_after(40):
                while True:
                    try:
                        return await nomad.acl_bootstrap(SECRET)
                    except UnansweredError:  # it elects itself
                        await anyio.sleep(0.2)

        made.asked(first)
        yield made


def test_a_task_with_acls_on_asks_with_the_rights_of_its_job(guarded: Guarded) -> None:
    cluster = guarded.cluster
    if not cluster.clients:
        cluster.start_client()

    async def run(nomad: NomadCluster) -> None:
        job = a_sleeper("reconciler", driver="raw_exec")
        job["TaskGroups"][0]["Tasks"][0]["Identity"] = {"Env": True, "File": True}
        await nomad.channel.write("PUT", "/v1/jobs", body={"Job": job})
        policy = {
            "Name": "reconciler",
            "Rules": MAY_READ + 'namespace "*" { policy = "read" }',
            "JobACL": {"Namespace": "default", "JobID": "reconciler"},
        }
        await nomad.channel.write("PUT", "/v1/acl/policy/reconciler", body=policy)
        with anyio.fail_after(40):
            while not (copies := [a for a in await nomad.allocations() if a.client == "running"]):  # noqa: ASYNC110
                await anyio.sleep(0.2)
        secrets = cluster.clients[0].folder / "data" / "alloc" / copies[0].id / "main" / "secrets"
        identity = (secrets / "nomad_token").read_text(encoding="utf-8")
        inside = NomadSettings(address=f"unix://{secrets / 'api.sock'}", token=identity)
        async with RealNomadDoor(inside) as door:
            assert [node.name for node in await door.at([inside.address]).nodes()] == ["c1"]
            assert [job.id for job in await door.at([inside.address]).jobs()] == ["reconciler"]
        narrow = {
            **policy,
            "Rules": MAY_READ + 'namespace "*" { policy = "read" }\nnamespace "ops" { policy = "deny" }',
        }
        await nomad.channel.write("PUT", "/v1/acl/policy/reconciler", body=narrow)
        async with RealNomadDoor(inside) as door:
            with pytest.raises(UnansweredError, match="hide the jobs of ops"):
                await door.at([inside.address]).jobs()
        await nomad.channel.write("DELETE", "/v1/job/reconciler", (("purge", "true"),))

    guarded.asked(run, token=SECRET)


def test_the_first_management_token_is_ours_and_asking_again_is_success(guarded: Guarded) -> None:
    async def work(nomad: NomadCluster) -> None:
        await nomad.acl_bootstrap(SECRET)
        with pytest.raises(RefusedError, match="no UUID"):
            await nomad.acl_bootstrap("no uuid")

    async def with_it(nomad: NomadCluster) -> None:
        assert len(await nomad.raft_configuration()) == 1
        assert {job.id for job in await nomad.jobs()} <= {"reconciler"}
        assert (await nomad.snapshot()).archive

    guarded.asked(work)
    guarded.asked(with_it, token=SECRET)


def test_another_first_token_is_refused_and_the_way_out_is_true(guarded: Guarded) -> None:
    said: list[str] = []

    async def refused(nomad: NomadCluster) -> None:
        with pytest.raises(RefusedError, match=r"reset index: (\d+)") as no:
            await nomad.acl_bootstrap(OTHER)
        assert no.value.why is Refusal.EXISTS
        said.append(no.value.message)

    async def taken(nomad: NomadCluster) -> None:
        await nomad.acl_bootstrap(OTHER)

    guarded.asked(refused)
    index = said[0].split("reset index: ")[1].split(")")[0]
    folder: Path = guarded.cluster.servers[0].folder
    (folder / "data" / "server" / "acl-bootstrap-reset").write_text(index, encoding="utf-8")
    guarded.asked(taken)


def test_without_a_token_reads_are_unanswered_and_writes_refused(guarded: Guarded) -> None:
    async def work(nomad: NomadCluster) -> None:
        for ask in (nomad.nodes, nomad.jobs, nomad.evaluations, nomad.autopilot, nomad.raft_configuration):
            with pytest.raises(UnansweredError, match="NOMAD_TOKEN"):
                await ask()
        with pytest.raises(RefusedError, match="reconcile iam") as refused:
            await nomad.effects.set_eligibility(SECRET, eligible=False)
        assert refused.value.why is Refusal.SPECIFICATION

    guarded.asked(work)
    guarded.asked(work, token="11111111-2222-3333-4444-555555555555")  # a token that nobody knows


def test_a_token_for_all_namespaces_sees_all(guarded: Guarded) -> None:
    async def work(nomad: NomadCluster) -> None:
        for ask in (nomad.jobs, nomad.allocations, nomad.nodes, nomad.evaluations):
            await ask()
        with pytest.raises(UnansweredError, match="403"):
            await nomad.raft_configuration()

    guarded.asked(work, token=guarded.token(MAY_READ + 'namespace "*" { policy = "read" }', "all"))


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ('namespace "default" { policy = "read" }', 'no rule for `namespace "\\*"`'),
        ('namespace "team-*" { policy = "read" }', 'no rule for `namespace "\\*"`'),
        ('namespace "*" { policy = "read" }\nnamespace "secret" { policy = "deny" }', "hide the jobs of secret"),
        (
            'namespace "*" { policy = "read" }\nnamespace "ops" { variables { path "x" { capabilities = ["read"] } } }',
            "hide the jobs of ops",
        ),
        ("", "403.*reconcile iam"),
    ],
    ids=["one", "some", "all but one", "one rule in the place of all", "none"],
)
def test_a_token_from_which_namespaces_are_hidden_is_said_and_answers_nothing(
    guarded: Guarded, rules: str, said: str
) -> None:
    async def work(nomad: NomadCluster) -> None:
        with pytest.raises(UnansweredError, match=said):
            await nomad.jobs()

    guarded.asked(work, token=guarded.token(MAY_READ + rules, "narrow"))


def test_a_stream_that_is_refused_is_silence_and_the_table_is_read_in_full(
    guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LARGE", 0)

    async def another(nomad: NomadCluster) -> None:
        await nomad.channel.write("PUT", "/v1/namespace/secret", body={"Name": "secret"})

    guarded.asked(another, token=SECRET)

    async def work(nomad: NomadCluster) -> None:
        await nomad.allocations()
        assert nomad._memory.follower is not None
        await anyio.sleep(1.5)
        await nomad.allocations()
        assert not nomad._memory.follower.whole

    guarded.asked(work, token=guarded.token(MAY_READ + 'namespace "default" { policy = "read" }', "blind"))


@pytest.mark.parametrize("given", ["no certificate", "no authority"])
def test_who_shows_no_certificate_or_believes_none_is_unanswered(guarded: Guarded, given: str) -> None:
    async def work(nomad: NomadCluster) -> None:
        with pytest.raises(UnansweredError, match=r"(?i)certificate|alert|ssl|tls|nobody answers|broke off"):
            await nomad.nodes()

    guarded.asked(work, tls=Tls(ca=guarded.ca) if given == "no certificate" else Tls())


def test_a_task_asks_through_its_own_socket_with_its_own_identity(real_nomad: RealCluster) -> None:
    async def work(site: Site) -> None:
        job = site.job("inside")
        job["TaskGroups"][0]["Tasks"][0]["Identity"] = {"Env": True, "File": True}
        await site.register(job)
        (copy,) = await site.running("inside", 1)
        node = await site.node(copy.node_id)
        folder = next(c.folder for c in real_nomad.clients if c.config["name"] == node.name)
        secrets = folder / "data" / "alloc" / copy.id / "main" / "secrets"
        identity = (secrets / "nomad_token").read_text(encoding="utf-8")
        settings = NomadSettings(address=f"unix://{secrets / 'api.sock'}", token=identity)
        async with RealNomadDoor(settings) as door:
            assert len(await door.at([settings.address]).nodes()) == 2
            assert [job.id for job in await door.at([settings.address]).jobs()] == ["inside"]
        async with RealNomadDoor(NomadSettings(address=settings.address)) as door:
            with pytest.raises(UnansweredError, match="401"):
                await door.at([settings.address]).nodes()

    real(real_nomad, work)
