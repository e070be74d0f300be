"""Where documents are in Consul, and how it is reached: by a URL, and the environment that Consul's own tools read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from providers.http import Tls

SCHEME = "consul://"
PORT = 8500
MODES = frozenset({"stale", "consistent"})


class AddressError(Exception):
    """The URL or the environment makes no sense; said before anything is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulSettings:
    """What is the same for all prefixes of one Consul."""

    base: str  # "https://consul.internal:8501"
    token: str = field(default="", repr=False)
    tls: Tls = field(default_factory=Tls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """A prefix of Consul's keys, as ``consul://HOST:PORT/PREFIX`` names it; without a host: ``$CONSUL_HTTP_ADDR``.

    ``?stale`` lets any server answer, ``?consistent`` makes the leader ask the others first; ``?dc=NAME`` names a
    datacenter.
    """

    settings: ConsulSettings
    host: str  # with port, as the URL says
    prefix: str  # ends in "/", for Consul's own prefixes end anywhere: "specs" is also one of "specs2/x"
    query: tuple[tuple[str, str], ...] = ()

    @classmethod
    def read(cls, url: str, environ: Mapping[str, str]) -> Location:
        """Read a URL. Raises AddressError."""
        parts = urlsplit(url)
        prefix = unquote(parts.path).strip("/")
        if not prefix:
            raise AddressError(f"{url}: name the prefix below which the documents are: {SCHEME}HOST:PORT/PREFIX")
        try:
            port = parts.port
        except ValueError as error:
            raise AddressError(f"{url}: {error}") from error
        settings = _from_env(environ)
        host = _netloc(settings.base)
        if parts.hostname:
            shown = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            host = f"{shown}:{port or PORT}"
            settings = replace(settings, base=f"{urlsplit(settings.base).scheme}://{host}")
        return cls(settings=settings, host=host, prefix=f"{prefix}/", query=_query(url, parts.query))

    @property
    def name(self) -> str:
        """How a person names it."""
        return f"{SCHEME}{self.host}/{self.prefix.rstrip('/')}"

    @property
    def strictest(self) -> tuple[tuple[str, str], ...]:
        """The query for a single read: the leader makes sure that it still leads, unless stale answers will do."""
        return self.query if MODES & {name for name, _ in self.query} else (*self.query, ("consistent", ""))

    @property
    def path(self) -> str:
        """The API's path of the prefix."""
        return f"/v1/kv/{quote(self.prefix, safe='/')}"

    def file(self, key: str) -> str:
        """How a person names a document."""
        return f"{SCHEME}{self.host}/{key}"


def _query(url: str, text: str) -> tuple[tuple[str, str], ...]:
    found = parse_qsl(text, keep_blank_values=True)
    for name, value in found:
        if name == "token":
            raise AddressError(f"{SCHEME}…: a token in a URL ends up in logs; set CONSUL_HTTP_TOKEN")
        if name not in {*MODES, "dc"} or (name == "dc") != bool(value):
            raise AddressError(f"{url}: {name} is not known here; there are ?stale, ?consistent and ?dc=NAME")
    if len(MODES & {name for name, _ in found}) > 1:
        raise AddressError(f"{url}: ?stale and ?consistent exclude each other")
    return tuple(found)


def _from_env(environ: Mapping[str, str]) -> ConsulSettings:
    """Read the variables of Consul's CLI; a CA is only named by who wants TLS."""
    ca = environ.get("CONSUL_CACERT") or None
    cert, key = environ.get("CONSUL_CLIENT_CERT") or None, environ.get("CONSUL_CLIENT_KEY") or None
    if (cert is None) != (key is None):
        given, missing = ("CONSUL_CLIENT_CERT", "CONSUL_CLIENT_KEY")[:: 1 if cert else -1]
        raise AddressError(f"{given} is set and {missing} is not; mTLS needs both, in PEM files")
    address = environ.get("CONSUL_HTTP_ADDR") or f"127.0.0.1:{PORT}"
    if "://" not in address:
        secure = environ.get("CONSUL_HTTP_SSL", "").lower() in {"1", "t", "true"} or ca is not None
        address = f"{'https' if secure else 'http'}://{address}"
    if urlsplit(address).scheme not in {"http", "https"} or not urlsplit(address).hostname:
        raise AddressError(f"CONSUL_HTTP_ADDR is {address!r}; it wants HOST:PORT, http:// or https://")
    return ConsulSettings(
        base=address.rstrip("/"),
        token=environ.get("CONSUL_HTTP_TOKEN", ""),
        tls=Tls(ca=ca, cert=cert, key=key),
    )


def _netloc(base: str) -> str:
    return urlsplit(base).netloc
