"""What the servers refuse in constraints and policies of a job, in Nomad's words (source: its ``Validate``)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

Json = Mapping[str, Any]

_SECOND = 1_000_000_000
_TARGETS = ("${node.unique.id}", "${node.datacenter}", "${node.unique.name}", "${node.class}", "${node.pool}")
_PREFIXES = ("${attr.", "${device.", "${meta.")
_COMPARING = ("=", "==", "is", "!=", "not", "<", "<=", ">", ">=")
_SETS = ("set_contains", "set_contains_all", "set_contains_any")
_RESTART_INTERVAL_MIN, _RESCHEDULE_INTERVAL_MIN, _RESCHEDULE_DELAY_MIN = 5 * _SECOND, 15 * _SECOND, 5 * _SECOND
_DELAY_FUNCTIONS = ("constant", "exponential", "fibonacci")
_RECONCILES = ("", "best_score", "longest_running", "keep_original", "keep_replacement")


def joined(found: Sequence[str]) -> str:
    """Join faults as Nomad does."""
    lines = "".join(f"\t* {text}\n" for text in found)
    return f"{len(found)} error{'s' if len(found) != 1 else ''} occurred:\n{lines}\n"


def go_duration(nanoseconds: int) -> str:
    """Write a duration as Go does: 1h30m0s, 1.5s, 20ms."""
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < _SECOND:
        for unit, size in (("ms", 10**6), ("µs", 10**3), ("ns", 1)):
            if left >= size:
                return f"{sign}{left / size:g}{unit}"
        return "0s"
    minutes, rest = divmod(left, 60 * _SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / _SECOND:.9f}".rstrip("0").rstrip(".") + "s"
    if hours or minutes:
        text = f"{minutes}m{text}"
    return sign + (f"{hours}h{text}" if hours else text)


def _more(one: int, other: int) -> str:
    return f"{go_duration(one)} > {go_duration(other)}"


def _quoted(text: Any) -> str:
    return f'"{text}"'


# -- constraints, affinities, spreads


def constraint_faults(raw: Json) -> list[str]:
    """Name what is wrong with a constraint."""
    operand, right, left = raw["Operand"], raw["RTarget"], raw["LTarget"]
    found = [] if operand else ["Missing constraint operand"]
    if operand in _SETS:
        found += [] if right else ["Set contains constraint requires an RTarget"]
    elif operand == "regexp":
        found += _regexp_faults(right)
    elif operand == "distinct_property" and right:
        if not right.isdigit():
            parsing = f'strconv.ParseUint: parsing "{right}": invalid syntax'
            found.append(f'Failed to convert RTarget "{right}" to uint64: {parsing}')
        elif int(right) < 1:
            found.append(f"Distinct Property must have an allowed count of 1 or greater: {int(right)} < 1")
    elif operand in ("is_set", "is_not_set"):
        found += [f'Operator "{operand}" does not support an RTarget'] if right else []
    elif operand in _COMPARING:
        found += [] if right else [f'Operator "{operand}" requires an RTarget']
    elif operand not in ("version", "semver", "distinct_hosts", "distinct_property"):
        found.append(f'Unknown constraint type "{operand}"')
    if operand != "distinct_hosts":
        found += _target_faults(left) if left else ["no attribute provided but is required by operator"]
    return found


def _regexp_faults(pattern: str) -> list[str]:
    try:
        re.compile(pattern)
    except re.error as fault:
        return [f"Regular expression failed to compile: error parsing regexp: {fault.msg}: `{pattern}`"]
    return []


def _target_faults(target: str) -> list[str]:
    if not target.startswith("$"):
        return []
    if not target.startswith("${"):
        return [f'attribute "{target}" is missing an opening brace']
    if not target.endswith("}"):
        return [f'attribute "{target}" is missing a closing brace']
    if target in _TARGETS or target.startswith(_PREFIXES):
        return []
    return [f'unsupported attribute "{target}"']


def affinity_faults(raw: Json) -> list[str]:
    """Name what is wrong with an affinity."""
    operand, right, weight = raw["Operand"], raw["RTarget"], raw["Weight"]
    found = [] if operand else ["Missing affinity operand"]
    if operand in _SETS:
        found += [] if right else ["Set contains operators require an RTarget"]
    elif operand == "regexp":
        found += _regexp_faults(right)
    elif operand in _COMPARING:
        found += [] if right else [f'Operator "{operand}" requires an RTarget']
    elif operand not in ("version", "semver"):
        found.append(f'Unknown affinity operator "{operand}"')
    if not raw["LTarget"]:
        found.append("No LTarget provided but is required")
    if weight == 0:
        found.append("Affinity weight cannot be zero")
    if abs(weight) > 100:
        found.append("Affinity weight must be within the range [-100,100]")
    return found


def spread_faults(raw: Json) -> list[str]:
    """Name what is wrong with a spread block."""
    found = [] if raw["Attribute"] else ["Missing spread attribute"]
    if not 0 < raw["Weight"] <= 100:
        found.append("Spread block must have a positive weight from 0 to 100")
    seen: set[str] = set()
    total = 0
    for target in raw["SpreadTarget"] or []:
        if target["Value"] in seen:
            found.append(f'Spread target value "{target["Value"]}" already defined')
        seen.add(target["Value"])
        if target["Percent"] > 100:
            found.append(f'Spread target percentage for value "{target["Value"]}" must be between 0 and 100')
        total += target["Percent"]
    if total > 100:
        found.append(f"Sum of spread target percentages must not be greater than 100%; got {total}%")
    return found


def preference_faults(holder: Json, kind: str, *, spreads: bool = True) -> list[str]:
    """Name what is wrong with the constraints, affinities and spreads of a job, group or task."""
    found = [
        f"Constraint {i} validation failed: {joined(wrong)}"
        for i, one in enumerate(holder["Constraints"] or [], 1)
        if (wrong := constraint_faults(one))
    ]
    if kind == "system":
        found += ["System jobs may not have an affinity block"] if holder["Affinities"] else []
        return found + (["System jobs may not have a spread block"] if spreads and holder["Spreads"] else [])
    found += [
        f"Affinity {i} validation failed: {joined(wrong)}"
        for i, one in enumerate(holder["Affinities"] or [], 1)
        if (wrong := affinity_faults(one))
    ]
    if spreads:
        found += [
            f"Spread {i} validation failed: {joined(wrong)}"
            for i, one in enumerate(holder["Spreads"] or [], 1)
            if (wrong := spread_faults(one))
        ]
    return found


# -- policies


def update_faults(u: Json) -> list[str]:
    """Name what is wrong with an update block."""
    healthy, deadline, progress = u["MinHealthyTime"], u["HealthyDeadline"], u["ProgressDeadline"]
    rules = [
        (
            u["HealthCheck"] not in ("checks", "task_states", "manual"),
            f"Invalid health check given: {_quoted(u['HealthCheck'])}",
        ),
        (u["MaxParallel"] < 0, f"Max parallel can not be less than zero: {u['MaxParallel']} < 0"),
        (u["Canary"] < 0, f"Canary count can not be less than zero: {u['Canary']} < 0"),
        (u["Canary"] == 0 and u["AutoPromote"], "Auto Promote requires a Canary count greater than zero"),
        (healthy < 0, f"Minimum healthy time may not be less than zero: {go_duration(healthy)}"),
        (deadline <= 0, f"Healthy deadline must be greater than zero: {go_duration(deadline)}"),
        (progress < 0, f"Progress deadline must be zero or greater: {go_duration(progress)}"),
        (
            healthy >= deadline,
            f"Minimum healthy time must be less than healthy deadline: {_more(healthy, deadline)}",
        ),
        (
            progress != 0 and deadline >= progress,
            f"Healthy deadline must be less than progress deadline: {_more(deadline, progress)}",
        ),
        (u["Stagger"] <= 0, f"Stagger must be greater than zero: {go_duration(u['Stagger'])}"),
    ]
    return [text for wrong, text in rules if wrong]


def migrate_faults(m: Json) -> list[str]:
    """Name what is wrong with a migrate block."""
    healthy, deadline = m["MinHealthyTime"], m["HealthyDeadline"]
    rules = [
        (m["MaxParallel"] < 0, f"MaxParallel must be >= 0 but found {m['MaxParallel']}"),
        (not m["HealthCheck"] and m["MaxParallel"] > 0, "Missing HealthCheck"),
        (m["HealthCheck"] not in ("", "checks", "task_states"), f"Invalid HealthCheck: {_quoted(m['HealthCheck'])}"),
        (healthy < 0, f"MinHealthyTime is {go_duration(healthy)} and must be >= 0"),
        (deadline < 0, f"HealthyDeadline is {go_duration(deadline)} and must be >= 0"),
        (healthy > deadline, "MinHealthyTime must be less than HealthyDeadline"),
    ]
    return [text for wrong, text in rules if wrong]


def restart_faults(r: Json) -> list[str]:
    """Name what is wrong with a restart policy."""
    attempts, interval, delay = r["Attempts"], r["Interval"], r["Delay"]
    span, pause = go_duration(interval), go_duration(delay)
    rules = [
        (r["Mode"] not in ("delay", "fail"), f"Unsupported restart mode: {_quoted(r['Mode'])}"),
        (
            attempts == 0 and r["Mode"] != "fail",
            f"Restart policy {_quoted(r['Mode'])} with {attempts} attempts is ambiguous",
        ),
        (
            interval < _RESTART_INTERVAL_MIN,
            f"Interval can not be less than {go_duration(_RESTART_INTERVAL_MIN)} (got {span})",
        ),
        (
            attempts * delay > interval,
            f"Nomad can't restart the TaskGroup {attempts} times in an interval of {span} with a delay of {pause}",
        ),
    ]
    return [text for wrong, text in rules if wrong]


def reschedule_faults(r: Json) -> list[str]:
    """Name what is wrong with a reschedule policy that is on."""
    attempts, interval, delay, unlimited = r["Attempts"], r["Interval"], r["Delay"], r["Unlimited"]
    if attempts <= 0 and not unlimited:
        return []
    found = []
    if attempts > 0 and interval <= 0:
        found.append("Interval must be a non zero value if Attempts > 0")
    if attempts > 0 and unlimited:
        found.append(
            f"Reschedule Policy with Attempts = {attempts}, Interval = {go_duration(interval)}, "
            "and Unlimited = true is ambiguous"
        )
        found.append("If Attempts >0, Unlimited cannot also be set to true")
    least, function = go_duration(_RESCHEDULE_DELAY_MIN), r["DelayFunction"]
    if delay < _RESCHEDULE_DELAY_MIN:
        found.append(f"Delay cannot be less than {least} (got {go_duration(delay)})")
    if function not in _DELAY_FUNCTIONS:
        names = " ".join(map(_quoted, _DELAY_FUNCTIONS))
        found.append(f'Invalid delay function "{function}", must be one of [{names}]')
    if function != "constant":
        if r["MaxDelay"] < _RESCHEDULE_DELAY_MIN:
            found.append(f"Max Delay cannot be less than {least} (got {go_duration(delay)})")
        if r["MaxDelay"] < delay:
            ceiling = go_duration(r["MaxDelay"])
            found.append(f"Max Delay cannot be less than Delay {go_duration(delay)} (got {ceiling})")
    if not unlimited and interval < _RESCHEDULE_INTERVAL_MIN:
        shortest = go_duration(_RESCHEDULE_INTERVAL_MIN)
        found.append(f"Interval cannot be less than {shortest} (got {go_duration(interval)})")
    return found


def disconnect_faults(d: Json, kind: str) -> list[str]:
    """Name what is wrong with a disconnect block."""
    stop, lost = d["StopOnClientAfter"], d["LostAfter"]
    rules = [
        (stop is not None and stop < 0, "stop_after cannot be a negative duration"),
        (
            stop is not None and kind not in ("service", "batch"),
            "stop_after can only be used with service or batch job types",
        ),
        (lost < 0, "lost_after cannot be a negative duration"),
        (stop is not None and lost != 0, "Disconnect cannot be configured with both lost_after and stop_after"),
        (d["Reconcile"] not in _RECONCILES, f"reconcile option is invalid: {d['Reconcile']}"),
    ]
    return [text for wrong, text in rules if wrong]
