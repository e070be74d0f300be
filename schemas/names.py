"""Names in the world (design §8): launch templates, claims and tags of forming servers."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

PREFIX = "nomad-reconciler"


def formed_marker(group: str) -> str:
    """Name the launch template that says: this group's quorum was formed, and never is again."""
    return f"{PREFIX}-{group}-formed"


def form_template(group: str, slot: int, life: int, attempt: int) -> str:
    """Name the launch template that holds one attempt to launch one slot of the first quorum."""
    return f"{PREFIX}-{group}-form-{slot}-{life}-{attempt}"


def parse_form_template(group: str, name: str) -> tuple[int, int, int] | None:
    """Read (slot, life, attempt) from an attempt's name; None for any other name."""
    match = re.fullmatch(rf"{PREFIX}-{re.escape(group)}-form-(\d+)-(\d+)-(\d+)", name)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def server_claim(slot: int, life: int) -> str:
    """Name one life of one slot: at most one machine carries it."""
    return f"server-{slot}-{life}"


def parse_server_claim(claim: str) -> tuple[int, int] | None:
    """Read (slot, life) from a server's claim; None for any other claim."""
    match = re.fullmatch(r"server-(\d+)-(\d+)", claim)
    return (int(match[1]), int(match[2])) if match else None


def join_value(group: str) -> str:
    """Give the value of the join tag, by which servers and clients find the servers."""
    return f"{group}-server"


def client_token(group: str, claim: str, attempt: int) -> str:
    """Give EC2's idempotency token for one attempt of one claim: 64 characters at most, and never drawn by chance."""
    return hashlib.sha256(f"{group}/{claim}/{attempt}".encode()).hexdigest()[:48]


def host_of(address: str) -> str:
    """Give the host of an address: ``10.0.0.1``, ``10.0.0.1:4647`` or a URL."""
    return urlsplit(address if "//" in address else f"//{address}").hostname or address
