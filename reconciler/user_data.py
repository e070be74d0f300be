"""What a machine is told at boot: a cloud-config with its agent's configuration and the steps that start the agent.

Pure, and the same bytes for all machines of a revision. Steps are systemd's: install (unless the image is baked), fetch
(what must not stand here), boot (what only this machine knows), then the agent; a step that fails says so on the
console and is tried again, for ever.
"""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

LIMIT: Final = 16_384
"""Bytes of user data that EC2 takes."""

AGENT_FILE: Final = "/etc/nomad.d/10-agent.json"
FETCHED_FILE: Final = "/etc/nomad.d/40-fetched.*"  # json or hcl, as its content is
GOSSIP_FILE: Final = "/etc/nomad.d/60-gossip.json"
TLS_DIR: Final = "/etc/nomad.d/tls"
TABLE_FILE: Final = "/etc/nomad-reconciler/cpu_total_compute"
MACHINE_FILE: Final = "/etc/nomad-reconciler/machine"
FETCH_FILE: Final = "/etc/nomad-reconciler/fetch.json"
BOOT_FILE: Final = "/usr/local/sbin/nomad-reconciler-boot"
INSTALL_SCRIPT: Final = "/usr/local/sbin/nomad-reconciler-install"
FETCH_SCRIPT: Final = "/usr/local/sbin/nomad-reconciler-fetch"
BOOT_UNIT: Final = "nomad-reconciler-boot.service"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """A file that the machine fetches by reference: a secret, or a configuration that lies elsewhere."""

    source: str  # ssm:/…, secretsmanager:…, s3://…
    to: str
    sha256: str = ""
    key: str = ""  # below which key of a configuration the content stands, "server.encrypt"

    def plain(self) -> dict[str, str]:
        """Write it as the machine reads it."""
        wanted = {"from": self.source, "to": self.to, "sha256": self.sha256, "key": self.key}
        return {key: value for key, value in wanted.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Install:
    """How Nomad gets onto a machine, and Docker with it; ``way`` is ``baked``, ``apt`` or ``url``."""

    way: str = "baked"
    version: str = ""
    url: str = ""
    sha256: str = ""
    docker: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """All that user data says."""

    agent: Mapping[str, Any]
    region: str
    install: Install = Install()
    fetch: Sequence[Fetch] = ()
    cpu_mhz: Mapping[str, int] | None = None  # by instance type


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    mode: str
    content: str


def user_data(boot: Boot) -> str:
    """Write the cloud-config of a machine; what is long is packed until all of it is within the limit.

    A configuration that is too long even so is written as it is: EC2 refuses it, and says so.
    """
    files, packed = list(_files(boot)), set[str]()
    while True:
        text = _cloud_config(files, packed)
        plain = [file for file in files if file.path not in packed]
        if len(text.encode()) <= LIMIT or not plain:
            return text
        packed.add(max(plain, key=lambda file: len(file.content)).path)


def _files(boot: Boot) -> Iterator[_File]:
    steps = [BOOT_FILE]
    yield _File(AGENT_FILE, "0640", json.dumps(boot.agent, indent=2, sort_keys=True))
    yield _File(MACHINE_FILE, "0644", _machine(boot))
    yield _File(TABLE_FILE, "0644", "\n".join(f"{name}\t{mhz}" for name, mhz in sorted((boot.cpu_mhz or {}).items())))
    if boot.fetch:
        plan = {"region": boot.region, "files": [wanted.plain() for wanted in boot.fetch]}
        yield _File(FETCH_FILE, "0644", json.dumps(plan, indent=2))
        yield _File(FETCH_SCRIPT, "0755", _shipped("fetch.py"))
        steps.insert(0, FETCH_SCRIPT)
    if boot.install.way != "baked":
        yield _File(INSTALL_SCRIPT, "0755", _shipped("install.sh"))
        steps.insert(0, INSTALL_SCRIPT)
    yield _File(BOOT_FILE, "0755", _shipped("boot.sh"))
    unit = _shipped("boot.service").replace("@STEPS@", "\n".join(f"ExecStart={step}" for step in steps))
    yield _File(f"/etc/systemd/system/{BOOT_UNIT}", "0644", unit)
    yield _File("/etc/systemd/system/nomad.service", "0644", _shipped("nomad.service"))


def _machine(boot: Boot) -> str:
    """Write what the scripts ask, as a shell reads it."""
    install = boot.install
    told = {
        "DATA_DIR": str(boot.agent.get("data_dir", "")),
        "INSTALL": install.way,
        "NOMAD_VERSION": install.version,
        "NOMAD_URL": install.url,
        "NOMAD_SHA256": install.sha256,
        "DOCKER": "yes" if install.docker else "no",
    }
    return "\n".join(f"{key}={shlex.quote(value)}" for key, value in told.items())


def _cloud_config(files: Sequence[_File], packed: set[str]) -> str:
    lines = ["#cloud-config", "write_files:"]
    for file in files:
        lines += [f"  - path: {file.path}", f'    permissions: "{file.mode}"', "    owner: root:root"]
        lines += _content(file.content, pack=file.path in packed)
    lines += ["runcmd:", "  - [systemctl, daemon-reload]", f"  - [systemctl, enable, {BOOT_UNIT}]"]
    return "\n".join([*lines, f"  - [systemctl, start, --no-block, {BOOT_UNIT}]", ""])


def _content(text: str, *, pack: bool) -> list[str]:
    """Write a file's content, as people can read it or packed."""
    if pack:
        small = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
        return ["    encoding: gz+b64", f"    content: {small}"]
    if not text:
        return ['    content: ""']
    return ["    content: |", *(f"      {line}" if line else "" for line in text.rstrip("\n").split("\n"))]


@cache  # a file of this program: rendered for every tick
def _shipped(name: str) -> str:
    return resources.files("reconciler").joinpath("machine_files", name).read_text("utf-8")
