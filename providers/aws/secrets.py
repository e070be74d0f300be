"""Secrets by reference: ``env:NAME``, ``secretsmanager:NAME``; read once, at the start, and never shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from providers.aws.clients import Clients


def secret_of(reference: str, clients: Clients, environ: Mapping[str, str]) -> str:
    """Give what a reference names, without space around it; "" where it is not there or may not be read."""
    kind, _, name = reference.partition(":")
    if kind == "env":
        return environ.get(name, "").strip()
    try:
        found: str = clients.secrets().get_secret_value(SecretId=name).get("SecretString", "")
    except (ClientError, BotoCoreError):
        return ""
    return found.strip()
