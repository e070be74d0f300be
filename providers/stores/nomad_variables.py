"""The store as Nomad Variables of the managed cluster: one variable a record, compare-and-set by its index."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from providers.http import Answer
from providers.nomad.channel import Channel
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, Source
from schemas.record import Record

MOST_BYTES = 65536  # of a variable's names and values together, Nomad's limit
MISSING = "variable not found"


class _Variable(msgspec.Struct):
    """The part of a variable that is ours."""

    ModifyIndex: int
    Items: dict[str, str] | None = None


class NomadVariables:
    """Records of one namespace (source: facts nomad §1.9). Paths have letters, digits and ``-_~/``, 128 at most."""

    def __init__(self, channel: Channel, *, namespace: str = "default") -> None:
        self._channel, self._namespace = channel.speaking_for(Source.STORE), namespace

    async def read(self, path: str) -> Record | None:
        """Read a record; None only in Nomad's own words: a proxy's 404 is none of them."""
        return await self._channel.read(
            route(path), (("namespace", self._namespace),), decode=_record, missing=(MISSING, None)
        )

    async def write(self, path: str, items: Mapping[str, str], *, index: int) -> int:
        """Write a whole record if its index is still ``index`` (0: it is not there yet), and give the new index.

        Raises RefusedError(CONFLICT) when somebody else wrote first, RefusedError(INVALID) for what is too large.
        """
        size = sum(len(name.encode()) + len(value.encode()) for name, value in items.items())
        if size > MOST_BYTES:
            said = (
                f"the record has {size} bytes, and a Nomad variable holds {MOST_BYTES}."
                " Fewer machines on their way at once make it smaller: see limits.maxLaunchesPerMinute."
            )
            raise RefusedError(Source.STORE, f"write {path}", said, why=Refusal.INVALID)
        query = (("namespace", self._namespace), ("cas", str(index)))
        answer = await self._channel.write("PUT", route(path), query, {"Items": dict(items)})
        try:
            return msgspec.json.decode(answer.body, type=_Variable).ModifyIndex
        except msgspec.MsgspecError as error:
            said = f"the answer is not whole ({error}): it may have been written. Read it again."
            raise OutcomeUnknownError(Source.STORE, f"write {path}", said) from error


def _record(answer: Answer) -> Record | None:
    found = msgspec.json.decode(answer.body, type=_Variable)
    return Record(items=found.Items or {}, index=found.ModifyIndex)


def route(path: str) -> str:
    """Give the API's path of a variable."""
    return f"/v1/var/{quote(path, safe='/')}"
