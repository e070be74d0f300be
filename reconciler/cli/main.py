"""The front door: ``reconcile`` and its commands. What they need is imported only when they run, so --help is quick."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import click

from reconciler.cli import options
from reconciler.cli.commands import COMMANDS
from reconciler.cli.exits import INTERRUPTED, UNREACHABLE, USAGE, ExitError
from reconciler.cli.streams import tell
from reconciler.errors import ReconcilerError


class Commands(click.Group):
    """Lists commands in the order in which a newcomer meets them, and says what a misspelt one may have meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands."""
        return [name for command in COMMANDS if (name := command.name)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which there are."""
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            names = self.list_commands(ctx)
            near = get_close_matches(name, names, n=1)
            meant = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(names)}."
            raise click.UsageError(f"{name} is no command. {meant}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@options.source
@options.world
@options.output
@options.verbose("A line for each tick, and every hold by itself.")
@click.option("--once", is_flag=True, help="Make one pass, then exit.")
@click.option(
    "--wait", metavar="DURATION", help="With --once: go on until converged, or exit 1 when this time is over (10m)."
)
@click.option(
    "--digest", metavar="D", help="With --once: carry out only the plan with this digest (`reconcile plan` prints it)."
)
@click.version_option(package_name="nomad-reconciler", prog_name="reconcile", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, /, *, once: bool, wait: str | None, digest: str | None, **given: Any) -> None:
    """Keep Nomad clusters on EC2 as ClusterGroup documents say.

    Without a command it runs for ever; with --once it makes one pass, with --once --wait as many as it takes.

    \b
    Exit codes:
      0    done or in sync
      1    all failed, or --wait ran out
      2    changes pending (plan --detailed-exitcode)
      3    some actions failed
      5    held elsewhere
      64   usage
      65   invalid document: nothing was touched
      69   a dependency is unreachable
      130  interrupted
    """  # noqa: D301 - click wants the control character
    if ctx.invoked_subcommand is not None:
        options.refuse_before_command(ctx)
        return
    if not once and (wait is not None or digest is not None):
        raise click.UsageError("--wait and --digest go with --once")
    from reconciler.cli.run import run  # noqa: PLC0415 - what it imports takes a second

    run(options.Given(**given), once=once, wait=wait, digest=digest)


for _command in COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of design §7: click's 2 for usage errors is ours for changes."""
    try:
        ended = cli.main(
            args=list(arguments) if arguments is not None else None, prog_name="reconcile", standalone_mode=False
        )
    except click.ClickException as error:
        with contextlib.suppress(BrokenPipeError):
            error.show()
        sys.exit(USAGE)
    except ExitError as end:
        if end.message:
            tell(end.message)
        sys.exit(end.code)
    except ReconcilerError as error:
        tell(f"Error: {error}")
        sys.exit(UNREACHABLE)
    except (click.Abort, KeyboardInterrupt):
        tell("interrupted")
        sys.exit(INTERRUPTED)
    sys.exit(ended if isinstance(ended, int) else 0)


if __name__ == "__main__":
    main()
