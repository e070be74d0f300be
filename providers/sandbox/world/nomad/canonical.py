"""A job as it is stored: what is absent takes Nomad's default (source: ``api.Job.Canonicalize``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

SECOND = 1_000_000_000
MINUTE = 60 * SECOND

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": SECOND, "m": MINUTE, "h": 60 * MINUTE}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")

Json = dict[str, Any]


def nanoseconds(value: Any) -> int:
    """Read a duration: an integer is nanoseconds, a text is Go's ``1h30m``. Raises ValueError."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"not a duration: {value!r}")
    if isinstance(value, int | float):
        return int(value)
    text = value.lstrip("+-")
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        if text == "0":
            return 0
        raise ValueError(f"not a duration: {value!r}")
    total = sum(round(float(n) * _UNITS[u]) for n, u in parts)
    return -total if value.startswith("-") else total


def fold(raw: Mapping[str, Any] | None, defaults: Json) -> Json:
    """Fill in defaults as Go decodes JSON: keys whatever their case, null as absent, unknown keys dropped."""
    out = dict(defaults)
    if raw:
        names = {k.lower(): k for k in defaults}
        for key, value in raw.items():
            name = names.get(key.lower())
            if name is not None and value is not None:
                out[name] = value
    return out


def field_of(raw: Mapping[str, Any] | None, name: str) -> Any:
    """Give a field whatever the case of its key; None when absent."""
    if not raw:
        return None
    if name in raw:
        return raw[name]
    low = name.lower()
    return next((v for k, v in raw.items() if k.lower() == low), None)


def _each(raw: Any, make: Callable[[Mapping[str, Any]], Json]) -> list[Json] | None:
    return [make(item) for item in raw] if raw else None


def _durations(table: Json, *names: str) -> Json:
    for name in names:
        if table.get(name) is not None:
            table[name] = nanoseconds(table[name])
    return table


def _constraint(raw: Mapping[str, Any]) -> Json:
    return fold(raw, {"LTarget": "", "Operand": "", "RTarget": ""})


def _affinity(raw: Mapping[str, Any]) -> Json:
    out = fold(raw, {"LTarget": "", "Operand": "", "RTarget": "", "Weight": 50})
    out["Operand"] = out["Operand"] or "="
    return out


def _spread(raw: Mapping[str, Any]) -> Json:
    out = fold(raw, {"Attribute": "", "SpreadTarget": None, "Weight": 50})
    out["SpreadTarget"] = _each(out["SpreadTarget"], lambda t: fold(t, {"Percent": 0, "Value": ""}))
    return out


def _port(raw: Mapping[str, Any]) -> Json:
    """Ports are omit-empty, but a host network is always named."""
    full = fold(raw, {"HostNetwork": "", "IgnoreCollision": False, "Label": "", "To": 0, "Value": 0})
    full["HostNetwork"] = full["HostNetwork"] or "default"
    return {k: v for k, v in full.items() if v}


def _network(raw: Mapping[str, Any]) -> Json:
    full = fold(
        raw,
        {
            "CIDR": "",
            "CNI": None,
            "DNS": None,
            "Device": "",
            "DynamicPorts": None,
            "Hostname": "",
            "IP": "",
            "MBits": 0,
            "Mode": "",
            "ReservedPorts": None,
        },
    )
    for kind in ("DynamicPorts", "ReservedPorts"):
        full[kind] = _each(full[kind], _port)
    return {k: v for k, v in full.items() if v}


RESTART_SERVICE = {
    "Attempts": 2,
    "Delay": 15 * SECOND,
    "Interval": 30 * MINUTE,
    "Mode": "fail",
    "RenderTemplates": False,
}
RESTART_BATCH = {**RESTART_SERVICE, "Attempts": 3, "Interval": 1440 * MINUTE}
NO_RESCHEDULE = {"Attempts": 0, "Delay": 0, "DelayFunction": "", "Interval": 0, "MaxDelay": 0, "Unlimited": False}
RESCHEDULE = {
    "service": {
        "Attempts": 0,
        "Delay": 30 * SECOND,
        "DelayFunction": "exponential",
        "Interval": 0,
        "MaxDelay": 60 * MINUTE,
        "Unlimited": True,
    },
    "batch": {
        "Attempts": 1,
        "Delay": 5 * SECOND,
        "DelayFunction": "constant",
        "Interval": 1440 * MINUTE,
        "MaxDelay": 0,
        "Unlimited": False,
    },
}
UPDATE = {
    "AutoPromote": False,
    "AutoRevert": False,
    "Canary": 0,
    "HealthCheck": "checks",
    "HealthyDeadline": 5 * MINUTE,
    "MaxParallel": 1,
    "MinHealthyTime": 10 * SECOND,
    "ProgressDeadline": 10 * MINUTE,
    "Stagger": 30 * SECOND,
}
NO_UPDATE = {
    **UPDATE,
    "HealthCheck": "",
    "HealthyDeadline": 0,
    "MaxParallel": 0,
    "MinHealthyTime": 0,
    "ProgressDeadline": 0,
    "Stagger": 0,
}
MIGRATE = {"HealthCheck": "checks", "HealthyDeadline": 5 * MINUTE, "MaxParallel": 1, "MinHealthyTime": 10 * SECOND}
RESOURCES = {
    "CPU": None,
    "Cores": None,
    "Devices": None,
    "DiskMB": 0,
    "IOPS": 0,
    "MemoryMB": 300,
    "MemoryMaxMB": 0,
    "NUMA": None,
    "Networks": None,
    "SecretsMB": 0,
}
TASK_IDENTITY = {
    "Audience": ["nomadproject.io"],
    "ChangeMode": "",
    "ChangeSignal": "",
    "Env": False,
    "ExtraClaims": None,
    "File": False,
    "Filepath": "",
    "Name": "default",
    "ServiceName": "",
    "TTL": 0,
}


def _resources(raw: Mapping[str, Any] | None) -> Json:
    out = fold(raw, RESOURCES)
    if out["CPU"] is None:
        out["CPU"] = 100 if out["Cores"] is None else 0
    out["Cores"] = out["Cores"] or 0
    if out["Cores"]:
        out["CPU"] = 0
    out["Devices"] = _each(out["Devices"], _device)
    out["Networks"] = _each(out["Networks"], _network)
    return out


def _device(raw: Mapping[str, Any]) -> Json:
    out = fold(raw, {"Affinities": None, "Constraints": None, "Count": 1, "Name": ""})
    out["Constraints"] = _each(out["Constraints"], _constraint)
    out["Affinities"] = _each(out["Affinities"], _affinity)
    return out


TASK = {
    "Actions": None,
    "Affinities": None,
    "Artifacts": None,
    "CSIPluginConfig": None,
    "Config": None,
    "Constraints": None,
    "Consul": None,
    "DispatchPayload": None,
    "Driver": "",
    "Env": None,
    "Identities": None,
    "Identity": TASK_IDENTITY,
    "KillSignal": "",
    "KillTimeout": 5 * SECOND,
    "Kind": "",
    "Leader": False,
    "Lifecycle": None,
    "LogConfig": None,
    "Meta": None,
    "Name": "",
    "Resources": None,
    "RestartPolicy": None,
    "ScalingPolicies": None,
    "Schedule": None,
    "Secrets": None,
    "Services": None,
    "ShutdownDelay": 0,
    "Templates": None,
    "User": "",
    "Vault": None,
    "VolumeMounts": None,
}


def _task(raw: Mapping[str, Any], restart: Json) -> Json:
    out = _durations(fold(raw, TASK), "KillTimeout", "ShutdownDelay")
    out["Constraints"] = _each(out["Constraints"], _constraint)
    out["Affinities"] = _each(out["Affinities"], _affinity)
    out["LogConfig"] = fold(out["LogConfig"], {"Disabled": False, "MaxFileSizeMB": 10, "MaxFiles": 10})
    out["Resources"] = _resources(out["Resources"])
    out["RestartPolicy"] = _durations(fold(out["RestartPolicy"], restart), "Delay", "Interval")
    if out["Lifecycle"]:
        out["Lifecycle"] = fold(out["Lifecycle"], {"Hook": "", "Sidecar": False})
    return out


GROUP = {
    "Affinities": None,
    "Constraints": None,
    "Consul": None,
    "Count": 1,
    "Disconnect": None,
    "EphemeralDisk": None,
    "MaxClientDisconnect": None,
    "MaxRunDuration": None,
    "Meta": None,
    "Migrate": None,
    "Name": "",
    "Networks": None,
    "PreventRescheduleOnLost": False,
    "ReschedulePolicy": None,
    "RestartPolicy": None,
    "Scaling": None,
    "Services": None,
    "ShutdownDelay": None,
    "Spreads": None,
    "StopAfterClientDisconnect": None,
    "Tasks": None,
    "Update": None,
    "Volumes": None,
}
VOLUME = {
    "AccessMode": "",
    "AttachmentMode": "",
    "MountOptions": None,
    "Name": "",
    "PerAlloc": False,
    "ReadOnly": False,
    "Source": "",
    "Sticky": False,
    "Type": "",
}


def _group(raw: Mapping[str, Any], job: Mapping[str, Any], kind: str, update: Json | None) -> Json:
    out = _durations(fold(raw, GROUP), "ShutdownDelay", "MaxRunDuration")
    out["Constraints"] = _each(out["Constraints"], _constraint)
    out["Affinities"] = _each(out["Affinities"], _affinity)
    out["Spreads"] = _each(out["Spreads"], _spread)
    out["Networks"] = _each(out["Networks"], _network)
    out["EphemeralDisk"] = fold(out["EphemeralDisk"], {"Migrate": False, "SizeMB": 300, "Sticky": False})
    if out["Disconnect"] is not None:
        defaults = {"LostAfter": 0, "Reconcile": "best_score", "Replace": True, "StopOnClientAfter": None}
        out["Disconnect"] = _durations(fold(out["Disconnect"], defaults), "LostAfter", "StopOnClientAfter")
    if update is not None or out["Update"] is not None:
        out["Update"] = _update(out["Update"], update or UPDATE)
    own, above = out["ReschedulePolicy"], field_of(job, "Reschedule")
    if own is not None or above is not None or kind in RESCHEDULE:
        base = fold(above, RESCHEDULE.get(kind, NO_RESCHEDULE))
        out["ReschedulePolicy"] = _durations(fold(own, base), "Delay", "Interval", "MaxDelay")
    own, above = out["Migrate"], field_of(job, "Migrate")
    if own is not None or above is not None or kind == "service":
        out["Migrate"] = _durations(fold(own, fold(above, MIGRATE)), "HealthyDeadline", "MinHealthyTime")
    restart = RESTART_SERVICE if kind in ("service", "system") else RESTART_BATCH
    out["RestartPolicy"] = _durations(fold(out["RestartPolicy"], restart), "Delay", "Interval")
    if out["Volumes"]:
        out["Volumes"] = {k: fold(v, VOLUME) for k, v in out["Volumes"].items()}
    out["Tasks"] = _each(out["Tasks"], lambda t: _task(t, out["RestartPolicy"]))
    return out


def _update(raw: Mapping[str, Any] | None, base: Json) -> Json:
    return _durations(fold(raw, base), "HealthyDeadline", "MinHealthyTime", "ProgressDeadline", "Stagger")


JOB = {
    "Affinities": None,
    "AllAtOnce": False,
    "Constraints": None,
    "ConsulNamespace": "",
    "CreateIndex": 0,
    "Datacenters": None,
    "DispatchIdempotencyToken": "",
    "Dispatched": False,
    "ID": "",
    "JobModifyIndex": 0,
    "Meta": None,
    "ModifyIndex": 0,
    "Multiregion": None,
    "Name": "",
    "Namespace": "default",
    "NodePool": "default",
    "NomadTokenID": "",
    "ParameterizedJob": None,
    "ParentID": "",
    "Payload": None,
    "Periodic": None,
    "Priority": 50,
    "Region": "global",
    "Spreads": None,
    "Stable": False,
    "Status": "",
    "StatusDescription": "",
    "Stop": False,
    "SubmitTime": 0,
    "TaskGroups": None,
    "Type": "service",
    "UI": None,
    "Update": None,
    "VaultNamespace": "",
    "Version": 0,
    "VersionTag": None,
}


def canonical_job(raw: Mapping[str, Any]) -> Json:
    """Make the stored form of a job from what ``POST /v1/jobs`` takes; raises ValueError for a malformed duration."""
    out = fold(raw, JOB)
    kind = out["Type"]
    out["Name"] = out["Name"] or out["ID"]
    out["NodePool"] = out["NodePool"] or "default"
    out["Datacenters"] = out["Datacenters"] or ["*"]
    out["Priority"] = out["Priority"] or 50
    out["Constraints"] = _each(out["Constraints"], _constraint)
    out["Affinities"] = _each(out["Affinities"], _affinity)
    out["Spreads"] = _each(out["Spreads"], _spread)
    above: Json | None = None
    if out["Update"] is not None:
        above = _update(out["Update"], UPDATE)
    elif kind in ("service", "system"):
        above = dict(UPDATE)
    if above is not None and above["MaxParallel"] > 0:  # the job itself keeps these two only
        out["Update"] = {**NO_UPDATE, "MaxParallel": above["MaxParallel"], "Stagger": above["Stagger"]}
    else:
        out["Update"] = dict(NO_UPDATE)
    if out["Periodic"] is not None:
        out["Periodic"] = fold(
            out["Periodic"],
            {
                "Enabled": True,
                "ProhibitOverlap": False,
                "Spec": "",
                "SpecType": "cron",
                "Specs": None,
                "TimeZone": "UTC",
            },
        )
    if out["ParameterizedJob"] is not None:
        defaults = {"MetaOptional": None, "MetaRequired": None, "Payload": "optional"}
        out["ParameterizedJob"] = fold(out["ParameterizedJob"], defaults)
    groups = None if kind in ("batch", "sysbatch") and field_of(raw, "Update") is None else above
    out["TaskGroups"] = _each(out["TaskGroups"], lambda g: _group(g, raw, kind, groups))
    return out
