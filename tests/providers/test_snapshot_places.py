"""Snapshots are kept whole or not at all, wherever: a directory, S3, a sandbox's memory."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from moto import mock_aws

from providers.aws.clients import Clients
from providers.aws.secrets import secret_of
from providers.snapshots.directory import Directory
from providers.snapshots.memory import Remembered
from providers.snapshots.places import Places
from providers.snapshots.s3 import S3
from reconciler.ports import SnapshotPlace
from schemas.faults import Source, UnansweredError
from support.aws_account import no_account

__all__ = ["no_account"]

pytestmark = pytest.mark.xdist_group("moto")

Place = tuple[SnapshotPlace, str]


@pytest.fixture
def clients(no_account: None) -> Iterator[Clients]:
    with mock_aws():
        found = Clients("us-east-1")
        found.s3().create_bucket(Bucket="backups")
        found.secrets().create_secret(Name="nomad-bootstrap", SecretString="f00d\n")
        yield found


@pytest.fixture(params=["directory", "s3", "s3 at the top", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path, clients: Clients) -> Place:
    found: dict[str, Place] = {
        "directory": (Directory(), str(tmp_path / "made" / "when-needed")),
        "s3": (S3(clients, inline=True), "s3://backups/prod/nomad/"),
        "s3 at the top": (S3(clients, inline=True), "s3://backups"),
        "memory": (Remembered(), "/anywhere"),
    }
    return found[request.param]


def test_what_was_put_is_listed_read_and_deleted(place: Place) -> None:
    port, where = place

    async def work() -> None:
        assert await port.names(where) == ()
        for name in ("prod-2.snap", "prod-1.snap", "prod-1.snap"):
            await port.put(where, name, name.encode())
        assert await port.names(where) == ("prod-1.snap", "prod-2.snap")
        assert await port.get(where, "prod-2.snap") == b"prod-2.snap"
        for name in ("prod-2.snap", "prod-2.snap"):
            await port.delete(where, name)
        assert await port.names(where) == ("prod-1.snap",)

    anyio.run(work)


def test_what_is_not_there_is_no_answer(place: Place) -> None:
    port, where = place
    with pytest.raises(UnansweredError) as told:
        anyio.run(port.get, where, "prod-9.snap")
    assert told.value.source is Source.SNAPSHOTS


def test_a_snapshot_on_disk_is_for_its_owner_alone_and_leaves_no_half_behind(tmp_path: Path) -> None:
    anyio.run(Directory().put, str(tmp_path), "prod-1.snap", b"secrets")

    assert [p.name for p in tmp_path.iterdir()] == ["prod-1.snap"]
    assert stat.S_IMODE((tmp_path / "prod-1.snap").stat().st_mode) == 0o600


def test_a_directory_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnansweredError, match="Not a directory"):
        anyio.run(Directory().put, str(tmp_path / "file" / "below"), "prod-1.snap", b"")


def test_the_document_says_which_place_is_meant(tmp_path: Path, clients: Clients) -> None:
    places, folder = Places(clients), str(tmp_path)

    async def work() -> None:
        await places.put(folder, "prod-1.snap", b"1")
        await places.put("s3://backups/prod", "prod-2.snap", b"2")
        assert await places.names("s3://backups/prod") == ("prod-2.snap",)
        assert await places.get("s3://backups/prod", "prod-2.snap") == b"2"

    anyio.run(work)
    assert (tmp_path / "prod-1.snap").read_bytes() == b"1"
    anyio.run(partial(places.delete, folder, "prod-1.snap"))
    assert anyio.run(places.names, folder) == ()


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("env:TOKEN", "beef"),
        ("env:NOTHING", ""),
        ("secretsmanager:nomad-bootstrap", "f00d"),
        ("secretsmanager:missing", ""),
    ],
)
def test_a_secret_is_found_by_its_reference_or_not_at_all(clients: Clients, reference: str, found: str) -> None:
    assert secret_of(reference, clients, {"TOKEN": " beef\n"}) == found
