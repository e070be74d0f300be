"""Work that goes on beside other work, and ends with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup


@asynccontextmanager
async def background() -> AsyncIterator[TaskGroup]:
    """Give a group for tasks that are cancelled when the block ends; what the block raises comes out as it is."""
    raised: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # noqa: BLE001 - raised below: out of here it would be a group of one
            raised = error
        tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised
