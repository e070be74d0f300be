"""Snapshots, addresses and the first token against the simulated world: saved, read back, forgotten in turn."""

from __future__ import annotations

import pytest

from providers.sandbox.faults import Kind
from providers.sandbox.world.ec2.state import ElasticIp
from providers.sandbox.world.epoch import EPOCH
from providers.snapshots.memory import Remembered
from reconciler.archive import snapshot_name, surplus, unreadable
from support.builders import NOON, a_group
from support.server_faults import leader_dies
from support.servers_play import Play

IPS = ("eipalloc-0", "eipalloc-1", "eipalloc-2")


def test_snapshots_come_on_time_can_be_read_and_the_oldest_are_forgotten() -> None:
    group = a_group(servers={"snapshots": {"every": "1m", "keep": 2, "to": "/var/backups"}})
    play = Play.begin()
    assert play.settle(group, 1800)
    play.stage.snapshots.kept["/var/backups", "prod-by-hand.snap"] = b"somebody's"
    play.run(group, 200)

    names = sorted(name for _, name in play.stage.snapshots.kept)
    assert len(names) == 3, names
    assert "prod-by-hand.snap" in names
    record = play.stage.ticks[-1].snapshot.record.saved
    assert record is not None
    assert record.name == names[-2]
    assert unreadable(play.stage.snapshots.kept["/var/backups", record.name], record.sha256) is None
    assert play.wrong == []


def test_an_upgrade_begins_with_a_snapshot_and_ends_without_a_lost_quorum() -> None:
    saving = {"snapshots": {"every": "24h", "to": "s3://bucket/prod"}}
    play = Play.begin()
    assert play.settle(a_group(), 1800)
    assert play.settle(a_group(servers=saving, nomad={"version": "2.0.6"}), 3000)

    (key,) = play.stage.snapshots.kept
    launched = [i.launched_at for i in play.stage.live()]
    record = play.stage.ticks[-1].snapshot.record.saved
    assert record is not None
    assert key == ("s3://bucket/prod", record.name)
    assert len(launched) == 3
    assert all(record.at.timestamp() - EPOCH.timestamp() <= at for at in launched)
    assert play.wrong == []


def test_a_snapshot_that_cannot_be_read_back_is_none() -> None:
    group = a_group(servers={"snapshots": {"every": "1h", "to": "/var/backups"}})
    play = Play.begin()
    play.stage.snapshots = Torn()
    play.settle(group, 1800)
    play.run(group, 100)

    last = play.stage.ticks[-1]
    assert last.snapshot.record.saved is None
    assert last.snapshot.record.save_failed_at is not None
    assert any("could not be saved to /var/backups" in h.message for h in last.plan.holds)


class Torn(Remembered):
    """A place that loses the end of what it keeps."""

    async def put(self, place: str, name: str, data: bytes) -> None:
        await super().put(place, name, data[:-10])


def test_an_archive_is_readable_only_whole_and_with_right_sums() -> None:
    play = Play.begin()
    group = a_group(servers={"snapshots": {"every": "1h", "to": "/x"}})
    play.settle(group, 1800)
    ((_, archive),) = play.stage.snapshots.kept.items()
    saved = play.stage.ticks[-1].snapshot.record.saved
    assert saved is not None
    assert unreadable(archive, saved.sha256) is None
    assert "do not have the digest" in str(unreadable(archive[:-1], saved.sha256))


def test_only_a_groups_own_snapshots_are_ever_forgotten() -> None:
    mine = [snapshot_name("prod", NOON.replace(hour=h)) for h in range(4)]
    others = ["prod-by-hand.snap", snapshot_name("prod-eu", NOON), "notes.txt"]

    assert surplus((*others, *mine), "prod", 2) == tuple(mine[:2])


def test_addresses_are_kept_one_a_server_also_when_servers_are_replaced() -> None:
    group = a_group(servers={"elasticIps": list(IPS)})
    play = Play.begin()
    for number, name in enumerate(IPS):
        play.stage.world.cloud.state.elastic_ips[name] = ElasticIp(allocation=name, public_ip=f"192.0.2.{number}")
    assert play.settle(group, 1800)
    leader_dies(play)
    assert play.settle(group, 3000)

    held = {a.instance for a in play.stage.world.cloud.state.elastic_ips.values()}
    assert held == {i.id for i in play.stage.live()}
    assert len(held) == 3
    assert play.wrong == []


@pytest.mark.parametrize("kind", [Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.LOSE_REPLY, Kind.FAIL])
def test_the_first_token_is_given_once_whatever_goes_wrong(kind: Kind) -> None:
    group = a_group(nomad={"acl": True, "bootstrapToken": "env:TOKEN"})
    play = Play.begin()
    play.stage.faults.rates, play.stage.faults.only = {kind: 1.0}, lambda name: name.endswith("acl_bootstrap")
    play.run(group, 200)
    play.stage.faults.rates = {}
    assert play.settle(group, 1800)

    (cluster,) = play.stage.world.servers.state.clusters.values()
    assert cluster.acl_index > 0
    assert play.wrong == []
