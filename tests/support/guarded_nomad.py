"""A real Nomad with ACLs, for tests of rights; without the binary they are skipped."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from support.real_nomad import RealCluster, started


def asked(address: str, method: str, path: str, body: object = None, *, token: str = "") -> Any:
    content = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(address + path, content, {"X-Nomad-Token": token}, method=method)  # noqa: S310
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read() or b"null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """A Nomad with ACLs, and its management token."""

    address: str
    management: str
    cluster: RealCluster

    def token(self, rules: str) -> str:
        """Make a token that may do what these rules say."""
        name = f"rules-{abs(hash(rules))}"
        asked(self.address, "PUT", f"/v1/acl/policy/{name}", {"Name": name, "Rules": rules}, token=self.management)
        made = {"Type": "client", "Policies": [name]}
        return str(asked(self.address, "PUT", "/v1/acl/token", made, token=self.management)["SecretID"])


@pytest.fixture(scope="module")
def nomad() -> Iterator[Guarded]:
    with started(servers=1, clients=0, extra={"acl": {"enabled": True}}) as cluster:
        (url,) = cluster.urls
        management = str(asked(url, "PUT", "/v1/acl/bootstrap")["SecretID"])
        asked(url, "PUT", "/v1/namespace/other", {"Name": "other"}, token=management)
        yield Guarded(address=url, management=management, cluster=cluster)
