"""The first management token of a simulated cluster; what tokens may do is not simulated.

Source: ``nomad/acl_endpoint.go``.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.servers import answers
from providers.sandbox.world.servers.answers import NoAnswerError, ServerError

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers
    from providers.sandbox.world.servers.state import RaftCluster

Json = dict[str, Any]

_UUID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)


def bootstrap(servers: Servers, address: str, secret: str) -> Json:
    """``PUT /v1/acl/bootstrap``; without a secret of the caller's the server makes one."""
    cluster = _cluster(servers, address)
    if cluster.acl_index:
        raise ServerError(400, f"ACL bootstrap already done (reset index: {cluster.acl_index})")
    if secret and _UUID.fullmatch(secret) is None:
        raise ServerError(400, "invalid acl token")
    secret = secret or servers.kernel.new_id()
    cluster.index += 1
    cluster.acl_index, cluster.acl_secret = cluster.index, _hidden(secret)
    return _token(cluster, secret)


def token_self(servers: Servers, address: str, secret: str) -> Json:
    """``GET /v1/acl/token/self``: 403 for a token that is not known."""
    cluster = _cluster(servers, address)
    if _hidden(secret) != cluster.acl_secret:
        raise ServerError(403, "ACL token not found")
    return _token(cluster, secret)


def _cluster(servers: Servers, address: str) -> RaftCluster:
    agent = servers.up(address)
    if agent is None:
        raise NoAnswerError(f"no answer from {address}:4646")
    if not agent.acl:
        raise ServerError(400, "ACL support disabled")
    answers.require_leader(servers, address)
    cluster = servers.cluster_of(agent)
    if cluster is None:  # it leads none and knows none
        raise ServerError(500, "No cluster leader")
    return cluster


def _token(cluster: RaftCluster, secret: str) -> Json:
    return {
        "AccessorID": f"{cluster.acl_secret[:8]}-0000-4000-a000-{cluster.acl_secret[8:20]}",
        "SecretID": secret,
        "Name": "Bootstrap Token",
        "Type": "management",
        "Global": True,
        "Policies": None,
        "Roles": None,
        "CreateIndex": cluster.acl_index,
        "ModifyIndex": cluster.acl_index,
    }


def _hidden(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
