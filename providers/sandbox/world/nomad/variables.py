"""Variables and their locks (source: facts/nomad.md §1.9, recordings/http 208-247).

Timers of locks live in the leader's memory: a lock that is not renewed for two TTLs expires, and is free after its
delay; a new leader starts all timers anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad.canonical import field_of
from providers.sandbox.world.nomad.errors import ApiError

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.render import Calendar
    from providers.sandbox.world.nomad.store import Store

Json = dict[str, Any]

MOST_BYTES = 65536  # of names and values together
_PATH = re.compile(r"[a-zA-Z0-9-_~/]{1,128}")
_TTL_LEAST, _TTL_MOST, _TTL_DEFAULT = 10.0, 86400.0, 15.0
_SECONDS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_HELD = "attempting to modify locked variable"


@dataclass(slots=True)
class Lock:
    """Who holds a variable, and for how long without a renewal; seconds."""

    id: str
    ttl: float = _TTL_DEFAULT
    delay: float = _TTL_DEFAULT
    renewals: int = 0  # earlier expiries are void
    expired: bool = False  # its delay runs


@dataclass(slots=True)
class Variable:
    """Items at a path of a namespace."""

    namespace: str
    path: str
    items: dict[str, str] = field(default_factory=dict)
    create_index: int = 0
    modify_index: int = 0
    created_at: float = 0.0
    modified_at: float = 0.0
    lock: Lock | None = None

    @property
    def key(self) -> str:
        """Its place among the variables, in their order."""
        return f"{self.namespace}.{self.path}"


class ConflictError(ApiError):
    """409, with the variable as it stands, or as nobody may see it."""

    def __init__(self, shown: Json, *, index: int | None) -> None:
        self.shown, self.index = shown, index
        super().__init__(409, "conflict")


class Variables:
    """The routes under ``/v1/var`` and ``/v1/vars``."""

    def __init__(self, store: Store, calendar: Calendar) -> None:
        self._store, self._calendar = store, calendar
        store.kernel.on("nomad.lock_expired", self._expired)
        store.kernel.on("nomad.lock_freed", self._freed)

    @property
    def _all(self) -> dict[str, Variable]:
        return self._store.state.variables

    # --- routes

    def list(self, *, namespace: str, prefix: str) -> list[Json]:
        """``GET /v1/vars``: metadata, by namespace and path."""
        found = sorted(self._all.values(), key=lambda v: (v.namespace, v.path))
        return [
            self._shown(v, items=False) for v in found if namespace in {"*", v.namespace} and v.path.startswith(prefix)
        ]

    def read(self, path: str, *, namespace: str) -> Json:
        """``GET /v1/var/:path``."""
        found = self._all.get(f"{namespace}.{path}")
        if found is None:
            raise ApiError(404, "variable not found")
        return self._shown(found)

    def put(self, path: str, body: Mapping[str, Any], *, namespace: str, cas: int | None) -> Json:
        """``PUT /v1/var/:path``: all items at once; a locked one by its holder alone, which resets the lock's times."""
        items, namespace = field_of(body, "Items") or {}, field_of(body, "Namespace") or namespace
        if not items:
            raise ApiError(400, "variable missing required Items object")
        _check(path, items)
        held = field_of(field_of(body, "Lock") or {}, "ID") or ""
        index = self._store.next_index()
        old = self._all.get(f"{namespace}.{path}")
        if old is not None and old.lock is not None:
            if old.lock.id != held or old.lock.expired:
                raise ConflictError(_hidden(namespace, path), index=0)
            old.lock.ttl = old.lock.delay = _TTL_DEFAULT
        elif held:
            raise ConflictError(_hidden(namespace, path), index=0)
        self._check_cas(old, cas, namespace, path)
        made = self._write(index, namespace, path, items)
        if made.lock is not None:
            self._start(made)
        return self._shown(made)

    def delete(self, path: str, *, namespace: str, cas: int | None) -> int:
        """``DELETE /v1/var/:path``; gives the index of the write."""
        index = self._store.next_index("variables")
        old = self._all.get(f"{namespace}.{path}")
        if old is not None and old.lock is not None:
            raise ConflictError(_hidden(namespace, path), index=0)
        self._check_cas(old, cas, namespace, path)
        if old is not None:
            del self._all[old.key]
        return index

    def acquire(self, path: str, body: Mapping[str, Any], *, namespace: str) -> Json:
        """``PUT /v1/var/:path?lock-acquire``: by one who holds it already it writes the items, and is no renewal."""
        asked, items = field_of(body, "Lock") or {}, field_of(body, "Items") or {}
        namespace = field_of(body, "Namespace") or namespace
        ttl, delay = _seconds(field_of(asked, "TTL")), _seconds(field_of(asked, "LockDelay"))
        _check_times(ttl, delay)
        _check(path, items)
        index = self._store.next_index()
        old = self._all.get(f"{namespace}.{path}")
        mine = old is not None and old.lock is not None and old.lock.id == field_of(asked, "ID")
        if old is not None and old.lock is not None and not mine:
            raise ConflictError(_hidden(namespace, path), index=None)
        made = self._write(index, namespace, path, items)
        if made.lock is None:
            made.lock = Lock(id=self._store.kernel.new_id(), ttl=ttl, delay=delay)
            self._start(made)
        return self._shown(made)

    def renew(self, path: str, body: Mapping[str, Any], *, namespace: str) -> Json:
        """``PUT /v1/var/:path?lock-renew``: also late, as long as nobody has seen it expire."""
        found = self._all.get(f"{field_of(body, 'Namespace') or namespace}.{path}")
        if found is None:
            raise ApiError(404, "variable doesn't exist")
        lock = found.lock
        if lock is None or lock.id != field_of(field_of(body, "Lock") or {}, "ID") or lock.expired:
            raise ApiError(409, _HELD)
        self._start(found)
        return self._shown(found, items=False)

    def release(self, path: str, body: Mapping[str, Any], *, namespace: str) -> Json:
        """``PUT /v1/var/:path?lock-release``; the items stay."""
        if field_of(body, "Items"):
            raise ApiError(400, "RPC Error:: 400,lock release operation doesn't take variable items")
        namespace = field_of(body, "Namespace") or namespace
        index = self._store.next_index()
        found = self._all.get(f"{namespace}.{path}")
        if found is None or found.lock is None:
            raise ApiError(500, "rpc error: variable doesn't hold a lock")
        if found.lock.id != field_of(field_of(body, "Lock") or {}, "ID"):
            raise ConflictError(_hidden(namespace, path), index=None)
        self._free(found, index)
        return self._shown(found, items=False)

    # --- timers

    def restart_timers(self) -> None:
        """A new leader gives every holder two whole TTLs again."""
        for variable in self._all.values():
            if variable.lock is not None:
                variable.lock.expired = False
                self._start(variable)

    def _start(self, variable: Variable) -> None:
        if (lock := variable.lock) is not None:
            lock.renewals += 1
            due = self._store.kernel.calendar.lasting(2 * lock.ttl)
            self._store.kernel.after(due, "nomad.lock_expired", variable.key, lock.id, lock.renewals)

    def _expired(self, key: str, lock_id: str, renewals: int) -> None:
        lock = self._lock(key, lock_id, renewals)
        if lock is not None:
            lock.expired = True
            self._store.kernel.after(
                self._store.kernel.calendar.lasting(lock.delay), "nomad.lock_freed", key, lock_id, renewals
            )

    def _freed(self, key: str, lock_id: str, renewals: int) -> None:
        if self._lock(key, lock_id, renewals) is not None:
            self._free(self._all[key], self._store.next_index("variables"))

    def _lock(self, key: str, lock_id: str, renewals: int) -> Lock | None:
        """Give the lock if it is still the one whose time is over; without a leader nobody looks."""
        found = self._all.get(key)
        if found is None or found.lock is None or not self._store.state.leader:
            return None
        return found.lock if (found.lock.id, found.lock.renewals) == (lock_id, renewals) else None

    # --- records

    def _write(self, index: int, namespace: str, path: str, items: Mapping[str, str]) -> Variable:
        now, key = self._store.kernel.now, f"{namespace}.{path}"
        found = self._all.setdefault(key, Variable(namespace, path, create_index=index, created_at=now))
        found.items, found.modify_index, found.modified_at = dict(items), index, now
        self._store.state.tables["variables"] = index
        return found

    def _free(self, variable: Variable, index: int) -> None:
        variable.lock, variable.modify_index = None, index  # its time of change stays
        self._store.state.tables["variables"] = index

    def _check_cas(self, old: Variable | None, cas: int | None, namespace: str, path: str) -> None:
        if cas is None or cas == (old.modify_index if old is not None else 0):
            return
        if old is None:
            raise ConflictError(_hidden(namespace, path), index=0)
        raise ConflictError(self._shown(old), index=old.modify_index)

    def _shown(self, variable: Variable, *, items: bool = True) -> Json:
        calendar = self._calendar
        shown: Json = {
            "CreateIndex": variable.create_index,
            "CreateTime": calendar.nanoseconds(variable.created_at),
            "ModifyIndex": variable.modify_index,
            "ModifyTime": calendar.nanoseconds(variable.modified_at),
            "Namespace": variable.namespace,
            "Path": variable.path,
        }
        if items and variable.items:
            shown["Items"] = dict(variable.items)
        if (lock := variable.lock) is not None:
            shown["Lock"] = {"ID": lock.id, "TTL": _go_duration(lock.ttl), "LockDelay": _go_duration(lock.delay)}
        return shown


def _hidden(namespace: str, path: str) -> Json:
    zeros = dict.fromkeys(("CreateIndex", "CreateTime", "ModifyIndex", "ModifyTime"), 0)
    return {**zeros, "Namespace": namespace, "Path": path}


def _check(path: str, items: Mapping[str, str]) -> None:
    if _PATH.fullmatch(path) is None:
        raise ApiError(400, f'RPC Error:: 400,invalid path "{path}"')
    top, _, rest = path.partition("/")
    if top == "nomad" and rest.partition("/")[0] not in {"jobs", "job-templates"}:
        where = '"nomad/jobs" or "nomad/job-templates" and below'
        raise ApiError(
            400, f'RPC Error:: 400,only paths at {where} are valid paths under the top-level "nomad" directory'
        )
    if sum(len(name.encode()) + len(value.encode()) for name, value in items.items()) > MOST_BYTES:
        raise ApiError(400, "RPC Error:: 400,variables are limited to 64KiB in total size")


def _check_times(ttl: float, delay: float) -> None:
    wrong = [name for name, s in (("TTL", ttl), ("LockDelay", delay)) if not _TTL_LEAST <= s <= _TTL_MOST]
    if wrong:
        lines = "".join(f"\t* {name} must be between 10 seconds and 24 hours\n" for name in wrong)
        count = f"{len(wrong)} error{'s' if len(wrong) > 1 else ''} occurred:\n"
        raise ApiError(400, f"RPC Error:: 400,{count}{lines}\n")


def _seconds(text: str | None) -> float:
    if not text:
        return _TTL_DEFAULT
    return sum(float(n) * _SECONDS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text))


def _go_duration(seconds: float) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    hour = f"{hours:.0f}h" if hours else ""
    return f"{hour}{minutes:.0f}m{rest:g}s" if seconds >= 60 else f"{rest:g}s"
