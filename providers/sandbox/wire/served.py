"""One simulated world on real ports of this machine: Nomad's API, each agent at its own address, and the account's.

Only loopback addresses are listened on. What is not there is not there: the port of a dead agent is closed.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import anyio
import anyio.abc

from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.wire.ec2.services import ACCOUNT, QUEUE
from providers.sandbox.wire.loopback import listening
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.wire.serve import LOOPBACK, App, serve
from providers.sandbox.world.world import World

BEAT = 0.1  # seconds between two looks at what has changed in the world
_FIRST = "127.1.0.4"  # the first address that a world gives away


class PortError(Exception):
    """A port cannot be had; the text says which, why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a served world listens."""

    nomad: int
    ec2: int
    region: str

    @property
    def balancer(self) -> str:
        """Give the URL that stands for all servers."""
        return f"http://{LOOPBACK}:{self.nomad}"

    @property
    def environment(self) -> dict[str, str]:
        """Give the variables with which the program, Nomad's CLI, boto3 and the AWS CLI find it."""
        return {
            "NOMAD_ADDR": self.balancer,
            "AWS_ENDPOINT_URL": f"http://{LOOPBACK}:{self.ec2}",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
        }

    @property
    def queue(self) -> str:
        """Give the URL of the interruption queue."""
        return f"http://{LOOPBACK}:{self.ec2}/{ACCOUNT}/{QUEUE}"


async def serve_world(
    world: World,
    clock: Clock,
    *,
    nomad_port: int,
    ec2_port: int,
    started: Callable[[Ports], None],
    beat: Callable[[], None] = lambda: None,
) -> None:
    """Serve until cancelled; port 0 is any free one. ``beat`` is called ten times a second. Raises PortError."""
    nomad = NomadWire(world, clock)
    async with anyio.create_task_group() as group:
        found = await _open(group, nomad, LOOPBACK, nomad_port)
        account = await _open(group, Ec2Wire(world, clock), LOOPBACK, ec2_port)
        await _check_addresses(found)
        started(Ports(nomad=found, ec2=account, region=world.state.ec2.region))
        doors = _Doors(group, nomad, found)
        while True:
            await doors.follow(listening(catch_up(world, clock)))
            beat()
            await anyio.sleep(BEAT)


class _Doors:
    """The open ports of the world's agents."""

    def __init__(self, group: anyio.abc.TaskGroup, app: App, port: int) -> None:
        self._group, self._app, self._port = group, app, port
        self._open: dict[str, anyio.CancelScope] = {}

    async def follow(self, wanted: frozenset[str]) -> None:
        """Open what is new and close what is gone; a port that is somebody else's is tried again next time."""
        for address in self._open.keys() - wanted:
            self._open.pop(address).cancel()
        for address in sorted(wanted - self._open.keys()):
            try:
                self._open[address] = await self._group.start(self._serve, address)
            except OSError:
                continue

    async def _serve(
        self, address: str, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                await group.start(partial(serve, self._app, host=address, port=self._port))
                task_status.started(scope)


async def _open(group: anyio.abc.TaskGroup, app: App, host: str, port: int) -> int:
    try:
        opened: int = await group.start(partial(serve, app, host=host, port=port))
    except OSError as error:
        raise PortError(
            f"port {port} of {host} cannot be had: {_why(error)}; name another one, or 0 for any that is free"
        ) from error
    return opened


async def _check_addresses(port: int) -> None:
    """Find out at once whether this machine has all of 127.0.0.0/8, as Linux has."""
    try:
        async with await anyio.create_tcp_listener(local_host=_FIRST, local_port=port):
            return
    except OSError as error:
        raise PortError(
            f"port {port} of {_FIRST} cannot be had: {_why(error)}; each simulated machine has an address of its own"
            " in 127.0.0.0/8, which Linux has and other systems want as aliases of their loopback interface"
        ) from error


def _why(error: OSError) -> str:
    return "somebody listens there" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
