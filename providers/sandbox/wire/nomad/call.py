"""One request to the simulated API, and its reply: query options as Nomad reads them, headers as it writes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from providers.sandbox.wire.nomad.filters import Json, compiled
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.render import Calendar

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.api import Api
    from providers.sandbox.world.world import World

WAIT_DEFAULT = WAIT_MOST = 300.0  # seconds of a blocking query
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """Read a duration as Go writes it, in seconds. Raises ValueError."""
    if _DURATION.sub("", text):
        raise ValueError(f'time: invalid duration "{text}"')
    return sum(float(n) * _SECONDS[unit] for n, unit in _DURATION.findall(text))


@dataclass(slots=True, kw_only=True)
class Call:
    """A request as a route sees it."""

    world: World
    address: str  # the server agent that was asked
    method: str
    path: Mapping[str, str]  # the route's placeholders
    query: Mapping[str, Sequence[str]]
    body: bytes = b""
    token: str = ""

    @property
    def api(self) -> Api:
        """The cluster's API."""
        return self.world.nomad.api

    @property
    def calendar(self) -> Calendar:
        """The world's seconds as dates."""
        return Calendar(self.world.nomad.state.settings.epoch_unix, self.world.kernel.calendar.pace)

    def nanoseconds(self, at: float) -> int:
        """Give a moment of the world in nanoseconds since 1970."""
        return self.calendar.nanoseconds(at)

    def option(self, name: str, default: str = "") -> str:
        """Give a query parameter."""
        return self.query[name][0] if name in self.query else default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Give a query parameter that is true or false; a bare one is true."""
        if name not in self.query:
            return default
        text = self.option(name)
        if text.lower() not in {"", "true", "false", "1", "0", "t", "f"}:
            raise ApiError(400, f"Expect `true` or `false` for `{name}` query string parameter")
        return text.lower() not in {"false", "0", "f"}

    def number(self, name: str) -> int | None:
        """Give a query parameter that is a number."""
        text = self.option(name)
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise ApiError(400, f"Expect a number for `{name}` query string parameter") from None

    @property
    def stale(self) -> bool:
        """Whether any server may answer from its own memory."""
        return self.flag("stale")

    @property
    def namespace(self) -> str:
        """The namespace asked for."""
        return self.option("namespace", "default") or "default"

    @property
    def index(self) -> int:
        """The index after which a blocking query answers; 0 does not block."""
        text = self.option("index", "0") or "0"
        if not text.isdigit():
            raise ApiError(400, "Invalid index")
        return int(text)

    @property
    def wait(self) -> float:
        """How long a blocking query may wait, in seconds."""
        text = self.option("wait")
        if not text:
            return WAIT_DEFAULT
        try:
            return min(WAIT_MOST, seconds_of(text))
        except ValueError:
            raise ApiError(400, "Invalid wait time") from None

    def json(self) -> Any:
        """Decode the body, refusing what Go's decoder refuses, in its words where they are known."""
        if not self.body:
            raise ApiError(400, "EOF")
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            raise ApiError(400, _go_words(self.body.decode(errors="replace"))) from None

    def table(self) -> Json:
        """Decode a body that must be an object."""
        found = self.json()
        if not isinstance(found, dict):
            kind = {str: "string", list: "array", bool: "bool"}.get(type(found), "number")
            raise ApiError(400, f"json: cannot unmarshal {kind} into Go value")
        return found


@dataclass(slots=True, kw_only=True)
class Reply:
    """What goes back: JSON, or text with a status. ``index`` of a read also tells of the leader."""

    body: Any = None
    status: int = 200
    index: int | None = None
    read: bool = True
    headers: dict[str, str] = field(default_factory=dict)
    empty: bool = False  # no body at all
    raw: bytes | None = None  # instead of JSON


def paged(
    call: Call,
    rows: Iterable[Json],
    *,
    token: Callable[[Json], str],
    full: Callable[[Json], Json] = lambda row: row,
    optional: frozenset[str] = frozenset(),
) -> tuple[list[Json], dict[str, str]]:
    """Filter and cut a list: the rows of the page, and the header that names the first row of the next one."""
    per_page, after = call.number("per_page"), call.option("next_token")
    test = compiled(call.option("filter"), optional=optional) if call.option("filter") else None
    page: list[Json] = []
    begun = not after
    for row in rows:
        begun = begun or token(row) == after
        if not begun or (test is not None and not test(_Both(row, full))):
            continue
        if per_page and len(page) >= max(0, per_page):
            return page, {"X-Nomad-Nexttoken": token(row)}
        page.append(row)
    return page, {}


class _Both(dict[str, Any]):
    """A record for filters: the row's fields are at hand, the full record is made when another one is asked for."""

    def __init__(self, row: Json, full: Callable[[Json], Json]) -> None:
        super().__init__()
        self._row, self._full = row, full
        self._made: Json | None = None

    def __contains__(self, key: object) -> bool:
        return key in self._whole(key)

    def __getitem__(self, key: str) -> Any:
        return self._whole(key)[key]

    def _whole(self, key: object) -> Json:
        if self._made is None and key in {
            "ID",
            "NodeID",
            "JobID",
            "Namespace",
            "Status",
            "ClientStatus",
            "Type",
            "Name",
        }:
            return self._row
        if self._made is None:
            self._made = self._full(self._row)
        return self._made


def hex_prefix(call: Call, kind: str) -> str:
    """Give the prefix of an id, refused as the state store refuses it."""
    prefix = call.option("prefix").replace("-", "")
    wrong = next((c for c in prefix if c not in "0123456789abcdefABCDEF"), None)
    if wrong is not None:
        text = f"encoding/hex: invalid byte: U+{ord(wrong):04X} '{wrong}'"
        raise ApiError(500, f"{kind} lookup failed: index error: Invalid UUID: {text}")
    if len(prefix) % 2:
        raise ApiError(500, f"{kind} lookup failed: index error: Input (without hyphens) must be even length")
    return call.option("prefix")


def full_id(call: Call, kind: str) -> str:
    """Give an id from the path; a short one is refused."""
    return checked_id(call.path["id"], kind)


def checked_id(text: str, kind: str) -> str:
    """Give an id; a short one is refused."""
    if len(text) != 36:
        raise ApiError(500, f"{kind} lookup failed: index error: UUID must be 36 characters")
    return text


def _go_words(text: str) -> str:
    stripped = text.lstrip()
    if stripped.startswith("{") and stripped[1:].lstrip()[:1] not in {'"', "}", ""}:
        return f"invalid character '{stripped[1:].lstrip()[0]}' looking for beginning of object key string"
    if stripped[:1] and stripped[0] not in '{["tfn-0123456789':
        return f"invalid character '{stripped[0]}' looking for beginning of value"
    return "unexpected EOF"
