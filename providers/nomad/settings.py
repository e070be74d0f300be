"""How a Nomad cluster is reached: addresses, token, region, TLS, from the environment that Nomad's own tools read."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from providers.http import Tls

HTTP_PORT = 4646
DEFAULT_ADDRESS = f"http://127.0.0.1:{HTTP_PORT}"
_OTHER_PORTS = {4647, 4648}  # RPC and gossip of the same agent: raft names servers so


class SettingsError(Exception):
    """The environment contradicts itself or names what is not there; said before anything is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One address of the API: a URL without path, or a unix socket; ``server_name`` is expected in its certificate."""

    url: str
    socket: str | None = None
    server_name: str | None = None

    @property
    def name(self) -> str:
        """How a person names it."""
        return self.socket or self.url


@dataclass(frozen=True, slots=True, kw_only=True)
class NomadSettings:
    """What is the same for all addresses."""

    address: str = DEFAULT_ADDRESS  # scheme and port of those that name none, and the default itself
    token: str = field(default="", repr=False)
    region: str = ""  # "": that of the agent which is asked
    namespace: str = "default"  # of our own variables; what is observed is of all namespaces
    tls: Tls = field(default_factory=Tls)
    server_name: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> NomadSettings:
        """Read the variables of the Nomad CLI. Raises SettingsError."""
        cert, key = environ.get("NOMAD_CLIENT_CERT") or None, environ.get("NOMAD_CLIENT_KEY") or None
        if (cert is None) != (key is None):
            given, missing = ("NOMAD_CLIENT_CERT", "NOMAD_CLIENT_KEY")[:: 1 if cert else -1]
            raise SettingsError(f"{given} is set and {missing} is not; mTLS needs both, in PEM files")
        address = environ.get("NOMAD_UNIX_ADDR") or environ.get("NOMAD_ADDR") or DEFAULT_ADDRESS
        if "://" not in address:
            address = f"http://{address}"
        if urlsplit(address).scheme not in {"http", "https", "unix"}:
            raise SettingsError(f"NOMAD_ADDR is {address!r}; it wants http://, https:// or unix://")
        return cls(
            address=address,
            token=environ.get("NOMAD_TOKEN", ""),
            region=environ.get("NOMAD_REGION", ""),
            namespace=environ.get("NOMAD_NAMESPACE", "") or "default",
            tls=Tls(ca=environ.get("NOMAD_CACERT") or None, cert=cert, key=key),
            server_name=environ.get("NOMAD_TLS_SERVER_NAME", ""),
        )

    def context(self) -> ssl.SSLContext:
        """Read the TLS files. Raises SettingsError naming them."""
        try:
            return self.tls.context()
        except (OSError, ssl.SSLError) as error:
            named = ", ".join(f for f in (self.tls.ca, self.tls.cert, self.tls.key) if f)
            raise SettingsError(
                f"the TLS files {named} cannot be used ({error}); NOMAD_CACERT, NOMAD_CLIENT_CERT and NOMAD_CLIENT_KEY"
                " name PEM files that this process may read"
            ) from error

    def endpoint(self, address: str) -> Endpoint:
        """Give the API's address for a host, ``host:port`` or URL; an RPC or gossip port stands for its agent.

        An agent that is asked by number shows a certificate for ``server.<region>.nomad``, not for the number.
        """
        if address.startswith("unix://"):
            return Endpoint(url="http://nomad", socket=address.removeprefix("unix://"))
        whole = "://" in address
        default = urlsplit(self.address)
        scheme = urlsplit(address).scheme if whole else "https" if default.scheme == "https" else "http"
        bare = f"[{address}]" if _is_number(address) and ":" in address else address
        parts = urlsplit(address if whole else f"//{bare}")
        host, port = parts.hostname or "", parts.port
        if not whole and (port is None or port in _OTHER_PORTS):
            port = default.port if default.scheme != "unix" and default.port else HTTP_PORT
        shown = f"[{host}]" if ":" in host else host
        name = self.server_name or (f"server.{self.region or 'global'}.nomad" if _is_number(host) else "")
        return Endpoint(
            url=f"{scheme}://{shown}" + (f":{port}" if port else ""),
            server_name=(name or None) if scheme == "https" else None,
        )


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
