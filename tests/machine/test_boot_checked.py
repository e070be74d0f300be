"""User data, units and scripts under tools that are not ours."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.machine import pool_template, server_template
from support.booted import files_of
from support.builders import a_catalogue, a_group, a_pool

TLS = {"ca": "ssm:/tls/ca", "cert": "ssm:/tls/cert", "key": "ssm:/tls/key"}
WAYS = {"baked": "baked", "apt": "apt", "url": {"url": "https://example.com/nomad_{arch}.zip", "sha256": "a" * 64}}


def rendered(way: str) -> list[str]:
    group = a_group(
        pools=[a_pool(instances={"types": ["*"]}, drivers=["docker"])],
        machine={"images": {"x86_64": "ami-0123", "arm64": "ami-0456"}, "install": WAYS[way]},
        nomad={"gossipKey": "ssm:/gossip", "tls": TLS},
    )
    client = pool_template(group, group.spec.pools[0], "x86_64", a_catalogue().values())
    return [client.user_data, server_template(group, "x86_64").user_data]


def tool(name: str) -> str:
    """Find a tool beside this Python or on PATH, or skip."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not on this machine: nothing was checked with it")
    return found


def accepted(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_shellcheck_finds_nothing_in_the_scripts(tmp_path: Path, way: str) -> None:
    for number, user_data in enumerate(rendered(way)):
        for path, text in files_of(user_data).items():
            if text.startswith("#!/bin/sh"):
                script = tmp_path / f"{number}-{Path(path).name}"
                script.write_text(text)
                accepted(tool("shellcheck"), str(script))


def test_systemd_accepts_the_units(tmp_path: Path, way: str) -> None:
    """Our own steps are put where the units name them, below a directory: systemd asks whether they can be run."""
    verify = tool("systemd-analyze")
    for number, user_data in enumerate(rendered(way)):
        place = tmp_path / str(number)
        place.mkdir()
        files = files_of(user_data)
        units = {path: text for path, text in files.items() if path.endswith(".service")}
        for path, text in files.items():
            if path.startswith("/usr/local/sbin/"):
                (place / Path(path).name).write_text(text)
                (place / Path(path).name).chmod(0o755)
        for path, text in units.items():
            (place / Path(path).name).write_text(text.replace("=/usr/local/sbin/", f"={place}/"))
        accepted(verify, "verify", "--man=no", *(str(place / Path(path).name) for path in units))


def test_cloud_init_accepts_the_user_data(tmp_path: Path, way: str) -> None:
    cloud_init = tool("cloud-init")
    for number, user_data in enumerate(rendered(way)):
        file = tmp_path / f"{number}.yaml"
        file.write_text(user_data)
        accepted(cloud_init, "schema", "--config-file", str(file))
