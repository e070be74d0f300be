"""Figures and phrases as all of the output writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.status import Act, Done, Work
from schemas.plan import Result
from schemas.world import Content

HEADROOM = "headroom"  # Content.job of spare units


def money(dollars: float) -> str:
    """Write USD an hour to a hundredth of a cent."""
    return f"{dollars:.4f}"


def percent(value: float | None) -> str:
    """Write a share."""
    return "" if value is None else f"{value:.0f}%"


def count(number: int, one: str, many: str = "") -> str:
    """Write ``1 node``, ``2 nodes``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """Write a length of time: ``4m12s``."""
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes or hours else "", f"{rest}s"]
    return "".join(parts)


def clock(seconds: float) -> str:
    """Write elapsed time as a clock does: ``00:04:12``."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def listed(names: Sequence[str], most: int) -> str:
    """Write names, the first few of many."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def work_text(work: Iterable[Work | Content]) -> str:
    """Write ``3 web.api, 1 cache.redis; system: 1 logs.agent``."""
    own: list[str] = []
    system: list[str] = []
    for w in work:
        (system if isinstance(w, Work) and w.system else own).append(_copies(w))
    return "; ".join(part for part in (", ".join(own), f"system: {', '.join(system)}" if system else "") if part)


def _copies(work: Work | Content) -> str:
    if work.job == HEADROOM:
        return f"{count(work.copies, 'headroom unit')} of {work.group}"
    return f"{work.copies} {work.job}.{work.group}"


def why_text(act: Act) -> str:
    """Give an action's reason, and what each machine is for where the reason does not say it."""
    work = work_text(act.contents)
    if not work or act.reason == f"for {work}":
        return act.reason
    return f"each for {work}" if act.reason.startswith("for ") else f"{act.reason}; each for {work}"


def got_text(done: Done) -> str:
    """Write the machines that a launch gave: ``2 m6i.large in us-east-1a, 1 m6i.xlarge in us-east-1b, spot``."""
    market = f", {done.act.market}" if done.act.market else ""
    if done.got:
        return ", ".join(f"{len(g.instances)} {g.instance_type} in {g.zone}" for g in done.got) + market
    if done.instances:
        return done.act.what.removeprefix("launch ")  # EC2 does not show them yet
    return f"0 of {done.act.count} machines{market}" if done.act.count else ""


def result_text(result: Result) -> str:
    """Say what came of an action, in a word or two."""
    return {
        Result.DONE: "done",
        Result.PARTLY: "partly done",
        Result.REFUSED: "refused",
        Result.FAILED: "failed",
        Result.UNKNOWN: "no answer",
    }[result]
