"""What a machine makes of its user data at first boot: cloud-init's files, and from them the agent's configuration.

Pure: text in, configuration out, or a ``BootError`` with what the console would show. Nomad merges
``/etc/nomad.d/*.json`` in the order of their names: blocks deeply, lists one after the other, the later value wins
(facts: nomad §7).
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Json = dict[str, Any]

CONFIG_DIR = "/etc/nomad.d/"
BOOT_FILE = "/etc/nomad.d/50-boot.json"
CPU_TABLE = "/etc/nomad-reconciler/cpu_total_compute"


class BootError(Exception):
    """The agent does not come up; the text is what the console shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """What of an agent's configuration decides how it behaves."""

    name: str
    region: str
    datacenter: str
    leave_on_terminate: bool
    server: Json | None  # the server block when it is enabled
    client: Json | None  # the client block when it is enabled
    plugins: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=256)
def written_files(user_data: str) -> Mapping[str, str]:
    """Give the files that cloud-init writes, by path. Raises ``BootError`` when it cannot read the user data."""
    if not user_data.startswith("#cloud-config"):
        raise BootError("cloud-init: unhandled non-multipart user data: it must start with #cloud-config")
    try:
        document = YAML(typ="safe", pure=False).load(user_data)
    except YAMLError as broken:
        raise BootError(f"cloud-init: failed loading yaml blob: {broken}") from broken
    if document is not None and not isinstance(document, dict):
        raise BootError("cloud-init: the cloud-config is no mapping")
    files: dict[str, str] = {}
    for entry in (document or {}).get("write_files") or []:
        if not isinstance(entry, dict) or "path" not in entry:
            raise BootError(f"cloud-init: write_files: an entry without a path: {entry!r}")
        files[str(entry["path"])] = _content(entry)
    return files


def agent_config(files: Mapping[str, str], boot: Json) -> AgentConfig:
    """Merge the agent's files with what the boot script adds. Raises ``BootError`` where Nomad would not start."""
    texts = {path: text for path, text in files.items() if path.startswith(CONFIG_DIR) and path.endswith(".json")}
    if not texts:
        raise BootError("nomad: no configuration in /etc/nomad.d")
    texts[BOOT_FILE] = json.dumps(boot)
    merged: Json = {}
    for path in sorted(texts):
        try:
            parsed = json.loads(texts[path])
        except ValueError as broken:
            raise BootError(f"nomad: error loading configuration from {path}: {broken}") from broken
        if not isinstance(parsed, dict):
            raise BootError(f"nomad: error loading configuration from {path}: not an object")
        merged = merge(merged, parsed)
    server, client = block(merged, "server"), block(merged, "client")
    if not server.get("enabled") and not client.get("enabled"):
        raise BootError("nomad: must have at least client or server mode enabled")
    if server.get("enabled") and not isinstance(server.get("bootstrap_expect", 0), int):
        raise BootError("nomad: server.bootstrap_expect must be a number")
    return AgentConfig(
        name=str(merged.get("name", "")),
        region=str(merged.get("region", "global")),
        datacenter=str(merged.get("datacenter", "dc1")),
        leave_on_terminate=bool(merged.get("leave_on_terminate", False)),
        server=server if server.get("enabled") else None,
        client=client if client.get("enabled") else None,
        extra=merged,
    )


def merge(left: Json, right: Json) -> Json:
    """Merge two configurations as Nomad does; a block may be an object or a list of one object."""
    out = dict(left)
    for key, new in right.items():
        old = out.get(key)
        if isinstance(_unlisted(old), dict) and isinstance(_unlisted(new), dict):
            out[key] = merge(_unlisted(old), _unlisted(new))
        elif isinstance(old, list) and isinstance(new, list):
            out[key] = old + new
        else:
            out[key] = new
    return out


def block(config: Mapping[str, Any], name: str) -> Json:
    """Give a block of a configuration, {} when it is not there."""
    found = _unlisted(config.get(name))
    return found if isinstance(found, dict) else {}


def cpu_total_compute(files: Mapping[str, str], instance_type: str) -> int | None:
    """Look a type up in the table that the user data brought: lines ``TYPE<TAB>MHZ``."""
    for line in files.get(CPU_TABLE, "").splitlines():
        kind, _, figure = line.partition("\t")
        if kind == instance_type and figure.strip().isdigit():
            return int(figure)
    return None


def _unlisted(value: object) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) else value


def _content(entry: Mapping[str, Any]) -> str:
    text, encoding = str(entry.get("content", "")), str(entry.get("encoding", ""))
    try:
        if encoding in {"b64", "base64"}:
            return base64.b64decode(text, validate=False).decode()
        if encoding in {"gz+b64", "gz+base64", "gzip+b64", "gzip+base64"}:
            with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(text))) as packed:
                return packed.read().decode()
    except (binascii.Error, OSError, UnicodeDecodeError) as broken:
        raise BootError(f"cloud-init: write_files: {entry['path']}: {broken}") from broken
    return text
