"""What changes between two versions of a job, field by field, as job plan and job versions tell it (recording 106).

Both are canonical, or None for a job that is not there. Objects that differ show their unchanged fields too. Blocks
that the simulation does not read (services, templates and the like) are told as a whole, without inner objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

Json = dict[str, Any]

NONE, ADDED, DELETED, EDITED = "None", "Added", "Deleted", "Edited"

_JOB_KEPT: Final = frozenset(  # by the servers, not by who submits
    ["ID", "Status", "StatusDescription", "Version", "Stable", "CreateIndex", "ModifyIndex", "JobModifyIndex", "Update",
     "SubmitTime", "NomadTokenID", "VaultToken", "VersionTag", "UI", "Multiregion"]
)  # fmt: skip
_SETS: Final = {"Constraints": "Constraint", "Affinities": "Affinity"}
_JOB_OBJECTS: Final = {"Periodic": "Periodic", "ParameterizedJob": "ParameterizedJob"}
_GROUP_OBJECTS: Final = {
    "RestartPolicy": "RestartPolicy", "Migrate": "Migrate", "ReschedulePolicy": "ReschedulePolicy",
    "EphemeralDisk": "EphemeralDisk", "Consul": "Consul", "Update": "Update", "Disconnect": "Disconnect",
    "Scaling": "Scaling",
}  # fmt: skip
_TASK_OBJECTS: Final = {
    "Resources": "Resources", "LogConfig": "LogConfig", "DispatchPayload": "DispatchPayload", "Vault": "Vault",
    "Consul": "Consul",
}  # fmt: skip
_GROUP_LISTS: Final = {"Services": "Service"}
_TASK_LISTS: Final = {"Artifacts": "Artifact", "Services": "Service", "Templates": "Template",
                      "Identities": "Identity", "VolumeMounts": "VolumeMount"}  # fmt: skip
_NOT_OF: Final[Mapping[str, frozenset[str]]] = {
    "Network": frozenset(["Device", "CIDR", "IP", "MBits"]),
    "Update": frozenset(["Stagger"]),
    "Dynamic Port": frozenset(["Value", "IgnoreCollision"]),
}
_ZEROS: Final[Mapping[str, Json]] = {  # told although an answer leaves them out
    "Network": {"Hostname": ""},
    "Static Port": {"IgnoreCollision": False, "To": 0},
    "Dynamic Port": {"To": 0},
    "Disconnect": {"StopOnClientAfter": "nil"},
}
_IN_PLACE: Final = frozenset(["Service", "Constraint", "Affinity", "Spread"])
_UPDATES: Final = {
    "Ignore": "ignore", "Place": "create", "Migrate": "migrate", "Stop": "destroy", "Canary": "canary",
    "InPlaceUpdate": "in-place update", "DestructiveUpdate": "create/destroy update",
}  # fmt: skip


def job_diff(old: Json | None, new: Json | None) -> Json:
    """Compare two versions of one job, of which one at least is there."""
    a, b = old or {}, new or {}
    objects = [o for o in [_strings("Datacenters", a, b)] if o is not None and o["Type"] != NONE]
    objects += _sets(a, b) + _objects(a, b, _JOB_OBJECTS)
    fields = _fields(_flat(a, without=_JOB_KEPT), _flat(b, without=_JOB_KEPT), all_of_them=False)
    groups = [_group(o, n) for o, n in _by_name(a.get("TaskGroups"), b.get("TaskGroups"))]
    changed = bool(fields or objects or any(g["Type"] != NONE for g in groups))
    kind = ADDED if old is None else DELETED if new is None else EDITED if changed else NONE
    return {
        "Fields": fields or None,
        "ID": (new or old or {})["ID"],
        "Objects": objects or None,
        "TaskGroups": groups or None,
        "Type": kind,
    }


def annotate(diff: Json, desired: Mapping[str, Mapping[str, int]]) -> None:
    """Say in a difference what the scheduler makes of it; ``desired`` is ``DesiredTGUpdates``."""
    for group in diff["TaskGroups"] or ():
        if (updates := desired.get(group["Name"])) is not None:
            group["Updates"] = {said: updates[name] for name, said in _UPDATES.items() if updates.get(name)}
        for field in group["Fields"] or ():
            if field["Name"] == "Count" and (grows := int(field["New"] or 0) - int(field["Old"] or 0)):
                field["Annotations"] = ["forces create" if grows > 0 else "forces destroy"]
        for task in group["Tasks"] or ():
            if task["Type"] != NONE:
                task["Annotations"] = [_forced(task, group)]


def _forced(task: Json, group: Json) -> str:
    if group["Type"] == task["Type"] == ADDED:
        return "forces create"
    if group["Type"] == task["Type"] == DELETED:
        return "forces destroy"
    replaces = any(f["Name"] != "KillTimeout" for f in task["Fields"] or ()) or any(
        any(f["Name"] == "Disabled" for f in o["Fields"] or ())  # also when it is told unchanged beside another
        if o["Name"] == "LogConfig"
        else o["Name"] not in _IN_PLACE
        for o in task["Objects"] or ()
    )
    return "forces create/destroy update" if replaces else "forces in-place update"


# --- groups and tasks


def _group(old: Json | None, new: Json | None) -> Json:
    a, b = old or {}, new or {}
    own = frozenset(["Name"])
    objects = _sets(a, b) + _objects(a, b, _GROUP_OBJECTS) + _networks(a, b) + _lists(a, b, _GROUP_LISTS)
    for name in sorted({*(a.get("Volumes") or {}), *(b.get("Volumes") or {})}):
        before, after = ((x.get("Volumes") or {}).get(name) for x in (a, b))
        objects += _present(_object("Volume", before, after))
    return {
        "Fields": _fields(_flat(a, without=own), _flat(b, without=own), all_of_them=False) or None,
        "Name": (new or old or {})["Name"],
        "Objects": objects or None,
        "Tasks": [_task(o, n) for o, n in _by_name(a.get("Tasks"), b.get("Tasks"))] or None,
        "Type": _kind(old, new),
        "Updates": None,
    }


def _task(old: Json | None, new: Json | None) -> Json:
    a, b = old or {}, new or {}
    own = frozenset(["Name", "Config"])
    objects = _sets(a, b) + _present(_config(a.get("Config") or {}, b.get("Config") or {}))
    objects += _objects(a, b, _TASK_OBJECTS) + _lists(a, b, _TASK_LISTS)
    x, y = a.get("Identity"), b.get("Identity")
    objects += _present(_object("Identity", x, y, _present(_strings("Audience", x or {}, y or {}))))
    return {
        "Annotations": None,
        "Fields": _fields(_flat(a, without=own), _flat(b, without=own), all_of_them=False) or None,
        "Name": (new or old or {})["Name"],
        "Objects": objects or None,
        "Type": _kind(old, new),
    }


def _kind(old: object, new: object) -> str:
    return NONE if old == new else ADDED if old is None else DELETED if new is None else EDITED


def _by_name(old: Sequence[Json] | None, new: Sequence[Json] | None) -> list[tuple[Json | None, Json | None]]:
    a, b = ({entry["Name"]: entry for entry in each or ()} for each in (old, new))
    return [(a.get(name), b.get(name)) for name in sorted({*a, *b})]


# --- objects


def _objects(a: Json, b: Json, names: Mapping[str, str]) -> list[Json]:
    return [made for key, name in names.items() for made in _present(_object(name, a.get(key), b.get(key)))]


def _object(name: str, old: Json | None, new: Json | None, inner: Iterable[Json] = ()) -> Json | None:
    """Compare one block by its plain fields; None when they are the same."""
    own, zeros = _NOT_OF.get(name, frozenset()), _ZEROS.get(name, {})
    before, after = (
        {**side, **{k: v for k, v in zeros.items() if side.get(k) is None}} if side is not None else {}
        for side in (old, new)
    )
    flat = _fields(_flat(before, without=own), _flat(after, without=own), all_of_them=True)
    kinds, objects = {f["Type"] for f in flat} - {NONE}, list(inner)
    if not kinds and not objects:
        return None
    kind = ADDED if old is None else DELETED if new is None else kinds.pop() if len(kinds) == 1 else EDITED
    if objects and old is not None and new is not None:
        kind = EDITED
    return {"Fields": flat or None, "Name": name, "Objects": objects or None, "Type": kind}


def _sets(a: Json, b: Json) -> list[Json]:
    return [made for key, name in _SETS.items() for made in _set(name, a.get(key) or (), b.get(key) or ())]


def _lists(a: Json, b: Json, names: Mapping[str, str]) -> list[Json]:
    return [made for key, name in names.items() for made in _set(name, a.get(key) or (), b.get(key) or ())]


def _set(name: str, old: Sequence[Json], new: Sequence[Json]) -> list[Json]:
    """Compare blocks that have no names: each is there or not."""
    come = [_object(name, None, entry) for entry in new if entry not in old]
    gone = [_object(name, entry, None) for entry in old if entry not in new]
    return [made for each in (come, gone) for one in each for made in _present(one)]


def _networks(a: Json, b: Json) -> list[Json]:
    """Compare networks, which have no names either: one that changed is another one."""
    found, was, now = [], a.get("Networks") or (), b.get("Networks") or ()
    come = [(None, entry) for entry in now if entry not in was]
    for old, new in (*come, *((entry, None) for entry in was if entry not in now)):
        ports = [
            made
            for key, name in (("ReservedPorts", "Static Port"), ("DynamicPorts", "Dynamic Port"))
            for o, n in _by_label((old or {}).get(key), (new or {}).get(key))
            for made in _present(_object(name, o, n))
        ]
        found += _present(_object("Network", old, new, ports))
    return found


def _by_label(old: Sequence[Json] | None, new: Sequence[Json] | None) -> list[tuple[Json | None, Json | None]]:
    a, b = ({port["Label"]: port for port in each or ()} for each in (old, new))
    return [(a.get(label), b.get(label)) for label in sorted({*a, *b})]


def _config(old: Json, new: Json) -> Json | None:
    if old == new:
        return None
    fields = _fields(dict(_deep("", old)), dict(_deep("", new)), all_of_them=True)
    kind = ADDED if not old else DELETED if not new else EDITED
    return {"Fields": fields or None, "Name": "Config", "Objects": None, "Type": kind}


def _strings(name: str, a: Json, b: Json) -> Json | None:
    old, new = set(a.get(name) or ()), set(b.get(name) or ())
    if old == new:
        return None
    fields = sorted((_field(name, v if v in old else "", v if v in new else "") for v in old | new), key=_place)
    kind = EDITED if old - new and new - old else ADDED if new - old else DELETED
    return {"Fields": fields, "Name": name, "Objects": None, "Type": kind}


def _present(made: Json | None) -> list[Json]:
    return [] if made is None else [made]


# --- fields


def _flat(table: Mapping[str, Any], *, without: frozenset[str]) -> dict[str, str]:
    """Give the plain fields of a block as texts; those of its maps as ``Meta[key]``."""
    found: dict[str, str] = {}
    for name, value in table.items():
        if name in without:
            continue
        if isinstance(value, dict):
            plain = not any(isinstance(v, (dict, list)) for v in value.values()) and name in {"Meta", "Env", "Options"}
            found |= {f"{name}[{key}]": _text(v) for key, v in value.items()} if plain else {}
        elif value is not None and not isinstance(value, list):
            found[name] = _text(value)
    return found


def _deep(prefix: str, value: Any) -> Iterable[tuple[str, str]]:
    """Give all of a driver's configuration: ``args[0]``, ``labels[app]``."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _deep(f"{prefix}[{key}]" if prefix else str(key), inner)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _deep(f"{prefix}[{place}]", inner)
    else:
        yield prefix, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nil" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _fields(old: Mapping[str, str], new: Mapping[str, str], *, all_of_them: bool) -> list[Json]:
    """Compare texts by name; ``all_of_them``: also those that are the same."""
    made = (_field(name, old.get(name, ""), new.get(name, "")) for name in {*old, *new})
    return sorted((f for f in made if all_of_them or f["Type"] != NONE), key=_place)


def _field(name: str, old: str, new: str) -> Json:
    kind = NONE if old == new else ADDED if not old else DELETED if not new else EDITED
    return {"Annotations": None, "Name": name, "New": new, "Old": old, "Type": kind}


def _place(field: Json) -> tuple[str, str, str]:
    return field["Name"], field["Old"], field["New"]
