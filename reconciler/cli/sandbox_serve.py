"""``reconcile sandbox serve``: the simulated world on ports of this machine, until somebody ends it."""

from __future__ import annotations

import signal

import anyio
import msgspec

from reconciler.bootstrap import served
from reconciler.cli.exits import HELD, UNREACHABLE, USAGE, ExitError
from reconciler.cli.streams import give, tell

_USUAL = 4646  # Nomad's port, at which a document without an address expects its servers


def serve(scenario: str, *, nomad_port: int, ec2_port: int, state: str | None, seed: int | None, speed: float) -> None:
    """Serve a scenario, or the world that ``state`` holds, until SIGTERM or ^C; both end it with 0."""
    try:
        world = served.open_served(scenario, state=state, seed=seed, speed=speed)
    except served.FileInUseError as error:
        raise ExitError(HELD, f"Error: --state {error}") from error
    except served.NotAStateFileError as error:
        raise ExitError(USAGE, f"Error: --state {error}") from error
    except served.ScenarioError as error:
        raise ExitError(USAGE, f"Error: {error}") from error
    except msgspec.MsgspecError as error:
        raise ExitError(
            USAGE, f"Error: --state {state}: its world cannot be read ({error}); name another file"
        ) from error
    try:
        anyio.run(_until_told, world, nomad_port, ec2_port, speed)
    except* served.PortError as several:
        raise ExitError(UNREACHABLE, f"Error: {_leaf(several)}") from None
    finally:
        world.close()


async def _until_told(world: served.ServedWorld, nomad_port: int, ec2_port: int, speed: float) -> None:
    def started(ports: served.Ports) -> None:
        _tell(ports, world, speed)

    async with anyio.create_task_group() as group:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:

            async def serving() -> None:
                await world.serve(nomad_port=nomad_port, ec2_port=ec2_port, started=started)

            group.start_soon(serving)
            async for _ in signals:
                group.cancel_scope.cancel()


def _tell(ports: served.Ports, world: served.ServedWorld, speed: float) -> None:
    """Words go to standard error, and what a shell is to read to standard output, at once."""
    scenario, seed = world.world.state.scenario, world.world.state.timeline.seed
    pace = "in real time" if speed == 1 else f"{speed:g} times as fast as real time"
    tell(f"the world {scenario}, seed {seed}, {pace}, until ^C or SIGTERM")
    tell(f"Nomad  port {ports.nomad}: all servers at 127.0.0.1, each agent at its own address 127.x.y.z")
    tell(f"AWS    port {ports.ec2}: EC2, SSM, prices, STS, and the interruption queue {ports.queue}")
    if ports.nomad != _USUAL:
        tell(f"       a document with servers looks for them at port {_USUAL}: give it nomad.address: {ports.balancer}")
    give("\n".join(f"export {name}={value}" for name, value in ports.environment.items()))


def _leaf(several: BaseExceptionGroup[served.PortError]) -> served.PortError:
    found = several.exceptions[0]
    return _leaf(found) if isinstance(found, BaseExceptionGroup) else found
