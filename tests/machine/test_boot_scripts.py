"""The scripts that a machine runs at boot, run: with stand-ins for the tools that they call."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from reconciler.machine import pool_template, server_template
from reconciler.user_data import BOOT_FILE, INSTALL_SCRIPT
from support.booted import Machine
from support.builders import a_catalogue, a_group, a_pool

METADATA = {
    "instance-id": "i-0abc",
    "instance-type": "m6i.large",
    "local-ipv4": "10.0.1.7",
    "tags/instance/nomad-reconciler:claim": "general-7",
}
NOMAD = 'echo "Nomad v2.0.5"; echo "BuildDate 2026-01-01"'


def a_machine(root: Path, role: str = "client", install: object = "baked", **told: str) -> Machine:
    """Make a client or a server that has been written to disk, with its metadata service behind ``curl``."""
    images = {"images": {"x86_64": "ami-0123"}, "install": install}
    group = a_group(pools=[a_pool(drivers=["docker"])], machine=images)
    types = a_catalogue().matching(["m6i.*"])
    client = pool_template(group, group.spec.pools[0], "x86_64", types)
    template = client if role == "client" else server_template(group, "x86_64")
    machine = Machine.of(root, template.user_data, **told)
    known = {**METADATA, "tags/instance/nomad-reconciler:role": role}
    answers = "\n".join(f"*/meta-data/{what}) echo '{value}' ;;" for what, value in known.items())
    machine.tool(
        "curl", f"for last; do :; done\ncase $last in\n*/api/token) echo token ;;\n{answers}\n*) exit 22 ;;\nesac"
    )
    return machine


def boot_file(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(machine.path("/etc/nomad.d/50-boot.json").read_text())
    return found


def test_a_client_writes_who_it_is_where_it_is_and_what_it_was_planned_with(tmp_path: Path) -> None:
    machine = a_machine(tmp_path)
    machine.tool("nomad", NOMAD)
    done = machine.run(BOOT_FILE)

    assert done.returncode == 0, done.stderr
    assert boot_file(machine) == {
        "name": "i-0abc",
        "advertise": {"http": "10.0.1.7", "rpc": "10.0.1.7", "serf": "10.0.1.7"},
        "client": {
            "meta": {"unique.nomad_reconciler_claim": "general-7"},
            "cpu_total_compute": a_catalogue()["m6i.large"].cpu_mhz,
        },
    }
    assert "i-0abc (m6i.large) starts Nomad v2.0.5 as a client" in done.stdout


def test_a_server_has_no_client_in_its_configuration(tmp_path: Path) -> None:
    machine = a_machine(tmp_path, "server")
    machine.tool("nomad", NOMAD)

    assert machine.run(BOOT_FILE).returncode == 0
    assert boot_file(machine).keys() == {"name", "advertise"}


def test_the_data_directory_is_root_s_alone(tmp_path: Path) -> None:
    machine = a_machine(tmp_path)
    machine.tool("nomad", NOMAD)
    machine.run(BOOT_FILE)

    assert f"install -d -m 0700 -o root -g root {tmp_path}/opt/nomad/data" in machine.calls()


def test_a_machine_without_nomad_says_what_to_do_and_fails(tmp_path: Path) -> None:
    machine = a_machine(tmp_path)
    machine.tool("command", "exit 1")
    done = machine.run(BOOT_FILE)

    assert done.returncode != 0
    assert "there is no nomad on this machine" in done.stderr
    assert not machine.path("/etc/nomad.d/50-boot.json").exists()


@pytest.mark.parametrize("missing", [*METADATA, "tags/instance/nomad-reconciler:role"])
def test_a_machine_that_cannot_read_its_metadata_writes_nothing_and_fails(tmp_path: Path, missing: str) -> None:
    machine = a_machine(tmp_path)
    machine.tool("nomad", NOMAD)
    curl = machine.path("/bin/curl")
    curl.write_text(curl.read_text().replace(f"*/meta-data/{missing})", "never)"))

    assert machine.run(BOOT_FILE).returncode != 0
    assert not machine.path("/etc/nomad.d/50-boot.json").exists()


@pytest.mark.parametrize(
    ("text", "stays"),
    [("server {\n  enabled = true\n  bootstrap_expect = 1\n}\n", False), ('plugin_dir = "/opt/nomad/plugins"\n', True)],
)
def test_the_package_s_example_is_put_aside_and_an_operator_s_file_is_not(
    tmp_path: Path, text: str, *, stays: bool
) -> None:
    """The example would make each server a cluster of its own."""
    machine = a_machine(tmp_path)
    machine.tool("nomad", NOMAD)
    file = machine.path("/etc/nomad.d/nomad.hcl")
    file.write_text(text)
    machine.run(BOOT_FILE)

    assert file.exists() is stays


# --- install


def test_apt_installs_the_document_s_version_and_keeps_it(tmp_path: Path) -> None:
    machine = a_machine(tmp_path, install="apt", DOCKER="no")
    machine.tool("apt-mark", "")
    machine.brings("apt-get", "*nomad=2.0.5-*", "nomad", NOMAD)
    machine.path("/etc/apt/keyrings").mkdir(parents=True)
    machine.path("/etc/apt/keyrings/hashicorp.asc").write_text("key")
    machine.path("/etc/apt/sources.list.d").mkdir(parents=True)
    machine.path("/etc/os-release").write_text("VERSION_CODENAME=noble\n")
    first, again = machine.run(INSTALL_SCRIPT), machine.run(INSTALL_SCRIPT)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    installs = [call for call in machine.calls() if call.startswith("apt-get") and " install " in call]
    assert len(installs) == 1, "what is there is not installed again"
    assert installs[0].endswith("install nomad=2.0.5-*")
    assert "apt-mark hold nomad" in machine.calls()
    source = machine.path("/etc/apt/sources.list.d/hashicorp.list").read_text()
    assert source.endswith("https://apt.releases.hashicorp.com noble main\n")


URL = "https://releases.example.com/nomad.zip"


def with_release(root: Path, checksum: str | None = None, **told: str) -> Machine:
    """Make a machine that downloads a zip with a Nomad in it; its checksum is right unless another is given."""
    file = root / "release.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("nomad", f"#!/bin/sh\n{NOMAD}\n")
    way = {"url": URL, "sha256": checksum or hashlib.sha256(file.read_bytes()).hexdigest()}
    machine = a_machine(root, install=way, DOCKER="no", **told)
    to_file = 'while [ "$1" != --output ]; do shift; done'
    machine.tool("curl", f'for last; do :; done\n[ "$last" = {URL} ] || exit 6\n{to_file}\ncp {file} "$2"')
    machine.tool("install", f'[ "$1" = -d ] || {{ cp "$3" {root}/bin/nomad; chmod +x {root}/bin/nomad; }}')
    return machine


@pytest.mark.parametrize("checksum", [None, "0" * 64])
def test_a_download_is_installed_only_when_its_checksum_is_right(tmp_path: Path, checksum: str | None) -> None:
    machine, good = with_release(tmp_path, checksum), checksum is None
    done = machine.run(INSTALL_SCRIPT)

    assert (done.returncode == 0) is good, done.stdout + done.stderr
    assert machine.path("/bin/nomad").exists() is good
    assert ("is not what machine.install.sha256 says" in done.stderr) is not good


def test_another_version_than_the_document_s_does_not_start(tmp_path: Path) -> None:
    machine = with_release(tmp_path, NOMAD_VERSION="2.0.6")
    done = machine.run(INSTALL_SCRIPT)

    assert done.returncode != 0
    assert "what was installed is not Nomad 2.0.6 but Nomad v2.0.5" in done.stderr


@pytest.mark.parametrize("answers", [True, False])
def test_docker_is_installed_and_waited_for(tmp_path: Path, *, answers: bool) -> None:
    machine = a_machine(tmp_path, install="apt")
    machine.tool("nomad", NOMAD)
    machine.brings("apt-get", "*docker.io", "docker", f"[ -e {tmp_path}/up ]" if answers else "exit 1")
    machine.tool("systemctl", "")
    machine.tool("sleep", f"touch {tmp_path}/up")
    done = machine.run(INSTALL_SCRIPT)

    assert (done.returncode == 0) is answers, done.stderr
    assert "systemctl enable --now docker.service" in machine.calls()
    assert ("Docker does not answer" in done.stderr) is not answers
    assert machine.calls().count("sleep 2") == (1 if answers else 60)
