"""The writes about nodes and work: drains, eligibility, purges, evaluations, stops; each is sent once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from providers.nomad.channel import Channel
from providers.nomad.shapes import an_object

NO_NODE = "node not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What Nomad says of a write: its index, and the evaluations that it woke."""

    index: int
    evaluations: tuple[str, ...] = ()


class Effects:
    """See the module. RefusedError(INVALID) where Nomad knows no such node, job or allocation."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    async def drain(
        self,
        node_id: str,
        *,
        deadline: timedelta | None,
        ignore_system_jobs: bool = True,
        meta: Mapping[str, str] | None = None,
    ) -> Written:
        """Begin or change a drain; ``deadline`` None is none, a negative one is now. Sent again, its deadline moves."""
        nanoseconds = 0 if deadline is None else deadline // timedelta(microseconds=1) * 1000
        spec = {"Deadline": nanoseconds, "IgnoreSystemJobs": ignore_system_jobs}
        return await self._put(f"/v1/node/{node_id}/drain", {"DrainSpec": spec, "Meta": dict(meta or {})})

    async def cancel_drain(self, node_id: str, *, eligible: bool, meta: Mapping[str, str] | None = None) -> Written:
        """End a drain before its time; without ``eligible`` the node stays unused."""
        body = {"DrainSpec": None, "MarkEligible": eligible, "Meta": dict(meta or {})}
        return await self._put(f"/v1/node/{node_id}/drain", body)

    async def set_eligibility(self, node_id: str, *, eligible: bool) -> Written:
        """Let Nomad place work on a node, or not; as it is already: nothing changes (index 0)."""
        word = "eligible" if eligible else "ineligible"
        return await self._put(f"/v1/node/{node_id}/eligibility", {"Eligibility": word})

    async def purge(self, node_id: str) -> None:
        """Forget a node whose machine is gone; one that is not known is forgotten."""
        await self.channel.write(
            "PUT",
            f"/v1/node/{node_id}/purge",
            accept=lambda a: a.status == 200 or (a.status == 500 and NO_NODE in a.text),
        )

    async def evaluate_job(self, namespace: str, job_id: str) -> Written:
        """Have a job looked at again."""
        path = f"/v1/job/{quote(job_id, safe='')}/evaluate"
        return await self._put(path, {"JobID": job_id, "Namespace": namespace, "EvalOptions": {}})

    async def stop_allocation(self, allocation_id: str) -> Written:
        """Stop an allocation and have it replaced, batch work too."""
        return await self._put(f"/v1/allocation/{allocation_id}/stop", {})

    async def _put(self, path: str, body: Mapping[str, Any]) -> Written:
        answer = an_object(await self.channel.write("PUT", path, body=body))
        ids = answer.get("EvalIDs") or ([answer["EvalID"]] if answer.get("EvalID") else [])
        return Written(index=answer.get("Index") or 0, evaluations=tuple(ids))
