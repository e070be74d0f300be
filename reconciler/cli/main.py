"""The front door: ``reconcile`` and its commands, each imported only when it is asked for, so that --help is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Any

import click

from reconciler.cli import options
from reconciler.cli.exits import INTERRUPTED, USAGE, ExitError

COMMANDS = {  # name → module in this folder that holds its command
    "validate": "validate",
    "plan": "plan",
    "status": "status",
    "explain": "explain",
    "schema": "schema",
    "render": "render",
}


class LazyGroup(click.Group):
    """Finds commands by name and imports only the one that runs; help texts come from a table for the same reason."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands, in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import the command's module; None for a name that is none."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"reconciler.cli.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(SUMMARIES.items()))


SUMMARIES = {
    "validate": "Check documents; change nothing, ask nobody",
    "plan": "Show what would be done and what not, with prices; change nothing",
    "status": "Show groups, servers, pools, nodes and cost",
    "explain": "Say why a job waits, and why a node or server is there",
    "schema": "Print the JSON Schema of the document, for editors",
    "render": "Print the user data of a machine",
}


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@options.source
@options.world
@options.output
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
    Exit codes: 0 done or in sync, 1 all failed or --wait ran out, 2 changes pending (plan --detailed-exitcode),
    3 some actions failed, 5 held elsewhere, 64 usage, 65 invalid document (nothing was touched),
    69 a dependency is unreachable, 130 interrupted.
    """  # noqa: D301 - click wants the control character
    if ctx.invoked_subcommand is not None:
        options.refuse_before_command(ctx)
        return
    if not once and (wait or digest):
        raise click.UsageError("--wait and --digest go with --once")
    from reconciler.cli.run import run  # noqa: PLC0415 - what it imports takes a second

    run(options.Given(**given), once=once, wait=wait, digest=digest)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of design §7: click's 2 for usage errors is ours for changes."""
    try:
        cli.main(args=list(arguments) if arguments is not None else None, prog_name="reconcile", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(USAGE)
    except ExitError as end:
        if end.message:
            click.echo(end.message, err=True)
        sys.exit(end.code)
    except (click.exceptions.Exit, SystemExit) as end:
        sys.exit(getattr(end, "exit_code", None) or getattr(end, "code", 0))
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away: nobody is left to tell
        sys.exit(0)


if __name__ == "__main__":
    main()
