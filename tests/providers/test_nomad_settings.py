"""How Nomad is reached: the CLI's own variables, addresses in every form, TLS by name, a unix socket."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from providers.http import Tls
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings, SettingsError
from schemas.faults import UnansweredError
from support.certificates import Authority
from support.raw_server import answer, listed, raw_server

NODE = '[{"ID": "n1", "ModifyIndex": 3, "Status": "ready"}]'


@pytest.mark.parametrize(
    ("environ", "address", "url", "server_name"),
    [
        ({}, "10.0.0.1", "http://10.0.0.1:4646", None),
        ({}, "10.0.0.1:4647", "http://10.0.0.1:4646", None),  # raft's and gossip's ports are the same agent's
        ({}, "10.0.0.1:4648", "http://10.0.0.1:4646", None),
        ({}, "10.0.0.1:80", "http://10.0.0.1:80", None),
        ({}, "nomad.internal", "http://nomad.internal:4646", None),
        ({}, "fd00::1", "http://[fd00::1]:4646", None),
        ({}, "[fd00::1]:4647", "http://[fd00::1]:4646", None),
        ({}, "https://nomad.internal:4646", "https://nomad.internal:4646", None),
        ({}, "https://nomad.internal", "https://nomad.internal", None),
        ({}, "https://10.0.0.1:4646", "https://10.0.0.1:4646", "server.global.nomad"),
        ({"NOMAD_ADDR": "https://n:8646"}, "10.0.0.1", "https://10.0.0.1:8646", "server.global.nomad"),
        (
            {"NOMAD_ADDR": "https://n:4646", "NOMAD_REGION": "eu"},
            "10.0.0.1",
            "https://10.0.0.1:4646",
            "server.eu.nomad",
        ),
        ({"NOMAD_TLS_SERVER_NAME": "x.nomad"}, "https://nomad.internal:4646", "https://nomad.internal:4646", "x.nomad"),
        ({"NOMAD_ADDR": "nomad.internal:4646"}, "10.0.0.1", "http://10.0.0.1:4646", None),
    ],
)
def test_an_address_is_completed_from_the_environment(
    environ: dict[str, str], address: str, url: str, server_name: str | None
) -> None:
    endpoint = NomadSettings.from_env(environ).endpoint(address)

    assert (endpoint.url, endpoint.server_name) == (url, server_name)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"NOMAD_CLIENT_CERT": "c.pem"}, "NOMAD_CLIENT_CERT is set and NOMAD_CLIENT_KEY is not"),
        ({"NOMAD_CLIENT_KEY": "k.pem"}, "NOMAD_CLIENT_KEY is set and NOMAD_CLIENT_CERT is not"),
        ({"NOMAD_ADDR": "ftp://nomad"}, "NOMAD_ADDR is 'ftp://nomad'"),
    ],
)
def test_an_environment_that_contradicts_itself_is_refused(environ: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        NomadSettings.from_env(environ)


def test_a_tls_file_that_is_not_there_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    settings = NomadSettings.from_env({"NOMAD_CACERT": str(tmp_path / "no.pem")})

    with pytest.raises(SettingsError, match=r"no\.pem"):
        RealNomadDoor(settings)


def test_a_token_is_not_in_what_is_printed_of_the_settings() -> None:
    assert "s3cret" not in repr(NomadSettings.from_env({"NOMAD_TOKEN": "s3cret"}))


async def nodes_at(address: str, settings: NomadSettings) -> list[str]:
    async with RealNomadDoor(settings, chance=lambda: 0.0) as door:
        return [node.id for node in await door.at([address]).nodes()]


FULL = (
    '{"ID": "n1", "ModifyIndex": 3, "Status": "ready", "SchedulingEligibility": "eligible", "NodeResources": {},'
    ' "Attributes": {}}'
)


def test_mutual_tls_by_number_expects_the_server_s_nomad_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.issue("server.global.nomad"), authority.issue("client.global.nomad")
    mutual = NomadSettings(tls=Tls(ca=authority.cert, cert=client.cert, key=client.key))

    async def work() -> None:
        tls = authority.server_context(server)
        async with raw_server(listed(NODE), answer(200, FULL), tls=tls) as opened:
            assert await nodes_at(opened.url, mutual) == ["n1"]
        async with raw_server(listed("[]"), tls=tls) as opened:
            for other in (
                NomadSettings(tls=Tls(ca=authority.cert)),  # shows no certificate
                NomadSettings(tls=Tls(cert=client.cert, key=client.key)),  # does not trust the authority
                NomadSettings(tls=mutual.tls, region="eu"),  # expects server.eu.nomad
            ):
                with pytest.raises(UnansweredError):
                    await nodes_at(opened.url, other)
            assert opened.heard == []

    anyio.run(work)


def test_the_task_api_s_unix_socket_is_asked_with_the_token_of_the_workload(tmp_path: Path) -> None:
    settings = NomadSettings.from_env({"NOMAD_UNIX_ADDR": f"unix://{tmp_path}/api.sock", "NOMAD_TOKEN": "identity"})

    async def work() -> None:
        async with raw_server(listed(NODE), answer(200, FULL), socket=tmp_path / "api.sock") as opened:
            assert await nodes_at(settings.address, settings) == ["n1"]
            assert "x-nomad-token: identity" in opened.heard[0].lower()

    anyio.run(work)


def test_the_region_is_asked_for_in_every_request() -> None:
    async def work() -> None:
        async with raw_server(listed("[]")) as opened:
            assert await nodes_at(opened.url, NomadSettings(region="eu")) == []
            assert "GET /v1/nodes?region=eu " in opened.heard[0]

    anyio.run(work)


def test_help_does_not_load_an_http_client() -> None:
    asked = "import sys; from reconciler.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    told = subprocess.run(  # noqa: S603
        [sys.executable, "-c", asked + "print('httpx' in sys.modules)"], capture_output=True, text=True, check=True
    )

    assert told.stdout.splitlines()[-1] == "False"
