"""What is said of an address of Nomad's at which something is wrong before any right is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import pytest

from providers.http import Tls
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.online.nomad import NomadWanted, check_nomad
from schemas.checks import Check
from support.builders import NOON
from support.certificates import Authority
from support.raw_server import answer, raw_server

WANTED = NomadWanted(group="demo", version="2.0.5", namespace="default", servers=False)
LEADER = answer(200, '"10.0.0.1:4647"', "Content-Type: application/json")


async def looked(address: str, settings: NomadSettings | None = None) -> tuple[Check, ...]:
    async with RealNomadDoor(settings or NomadSettings(), chance=lambda: 0.0) as door:
        return await check_nomad(door.channel([address]), WANTED, lambda: NOON)


def only(checks: tuple[Check, ...]) -> Check:
    (check,) = checks
    assert check.silent
    assert check.mend
    return check


def test_a_certificate_of_an_unknown_authority_is_told_with_the_variable_that_names_it(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("server.global.nomad")

    async def work() -> Check:
        async with raw_server(LEADER, tls=Authority(tmp_path).server_context(pair)) as server:
            return only(await looked(server.url))

    check = anyio.run(work)

    assert check.what.startswith("TLS at https://127.0.0.1")
    assert "NOMAD_CACERT" in check.mend


def test_a_certificate_for_another_name_is_told_with_the_name_that_was_expected(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair, ours = authority.issue("client.global.nomad"), authority.issue("cli.global.nomad")
    settings = NomadSettings(tls=Tls(ca=authority.cert, cert=ours.cert, key=ours.key))

    async def work() -> Check:
        async with raw_server(LEADER, tls=authority.server_context(pair)) as server:
            return only(await looked(server.url, settings))

    check = anyio.run(work)

    assert 'expected: "server.global.nomad"' in check.mend


@pytest.mark.parametrize(
    ("says", "found"),
    [
        (answer(200, '""'), "knows no leader"),
        (answer(200, "<!doctype html><title>Welcome</title>", "Content-Type: text/html"), "answers 200"),
        (answer(502, "Bad Gateway"), "answers 502"),
        (answer(400, "Client sent an HTTP request to an HTTPS server."), "speaks TLS"),
        (answer(200, "[1, 2]"), "no JSON text"),
    ],
)
def test_what_is_no_leader_of_nomads_is_told_and_nothing_else_is_asked(says: bytes, found: str) -> None:
    async def work() -> Check:
        async with raw_server(says) as server:
            check = only(await looked(server.url))
            assert len(server.heard) == 1
            return check

    assert found in anyio.run(work).found


def test_nobody_there_is_told_with_the_port_that_must_be_open() -> None:
    check = only(anyio.run(looked, "http://127.0.0.1:9"))

    assert "does not answer" in check.found
    assert "4646" in check.mend


@pytest.mark.parametrize(
    ("build", "verdict", "said"),
    [
        ("2.0.5", "ok", ""),
        ("2.1.0", "ok", ""),
        ("2.0.4", "problem", "clients must not be newer than servers"),
        ("2.0.1", "problem", "upgrade to 1.11.3, 2.0.2 or newer"),
        ("1.11.2", "problem", "upgrade to 1.11.3, 2.0.2 or newer"),
        ("1.11.9+ent", "problem", "set nomad.version to 1.11.9+ent"),
    ],
)
def test_versions_are_compared_with_the_document_and_with_what_is_needed(build: str, verdict: str, said: str) -> None:
    one = {"Name": "a.global", "Addr": "10.0.0.1", "Status": "alive", "Tags": {"build": build}}
    members = json.dumps({"Members": [one]})

    async def work() -> Check:
        async with raw_server(LEADER, answer(200, members), answer(200, "[]")) as server:
            return next(c for c in await looked(server.url) if c.what == "version")

    check = anyio.run(work)

    assert check.verdict == verdict
    assert said in check.mend
