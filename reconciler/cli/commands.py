"""The commands beside ``reconcile`` itself: their options and help. What does the work is imported when it runs."""

# ruff: noqa: PLC0415 - that is the point of this file: --help and completion stay quick

from __future__ import annotations

from typing import Any

import click

from reconciler.cli import options
from reconciler.cli.options import Given


@click.command(short_help="Check documents; change nothing, ask nobody")
@options.source
@click.option("--online", is_flag=True, help="Also check reach, rights and clock (not implemented yet).")
@options.output
def validate(*, online: bool, **given: Any) -> None:
    """Check documents; change nothing, ask nobody.

    Every mistake is told at once, as file:line:column: path: what is wrong; what would be right.
    Ends with 65 when there is one.
    """
    if online:
        raise click.UsageError("--online is not implemented yet; without it the documents themselves are checked")
    from reconciler.cli.validate import validate as work

    work(Given(**given))


@click.command(short_help="Show what would be done and what not, with prices")
@options.source
@options.world
@options.output
@options.verbose("Also list the offerings that each launch may take.")
@click.option("--detailed-exitcode", is_flag=True, help="End with 2 when something is to be done, 0 when nothing is.")
def plan(*, detailed_exitcode: bool, **given: Any) -> None:
    """Show what would be done and what not, with prices; change nothing.

    The digest names the actions: `reconcile --once --digest D` refuses a plan that has changed since.
    """
    from reconciler.cli.plan import plan as work

    work(Given(**given), detailed_exitcode=detailed_exitcode)


@click.command(short_help="Show groups, servers, pools, nodes and cost")
@options.source
@options.world
@options.output
def status(**given: Any) -> None:
    """Show groups, conditions, servers, pools, nodes and cost; change nothing."""
    from reconciler.cli.status import status as work

    work(Given(**given))


KINDS = ("job", "node", "server")


def _complete_kinds(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)]


@click.command(short_help="Say why a job waits, a node or server stays or goes")
@click.argument("what", nargs=-1, required=True, metavar="[job|node|server] NAME", shell_complete=_complete_kinds)
@options.source
@options.world
@options.output
def explain(*, what: tuple[str, ...], **given: Any) -> None:
    """Say why a job waits, and why a node or a server is there, stays or goes.

    NAME is a job (also namespace/job), a node (its instance, its Nomad id or the beginning of it), or a server's
    instance. Without a kind all three are searched.
    """
    from reconciler.cli.explain import explain as work

    if len(what) == 1:
        work(Given(**given), kinds=KINDS, name=what[0])
    elif len(what) == 2 and what[0] in KINDS:
        work(Given(**given), kinds=(what[0],), name=what[1])
    else:
        raise click.UsageError(f"name one job, node or server: explain [{'|'.join(KINDS)}] NAME")


@click.command(short_help="Print the JSON Schema of the document")
def schema() -> None:
    """Print the JSON Schema of the document, for editors."""
    import json

    from reconciler.cli.show.plain import print_text
    from schemas.document.jsonschema import json_schema

    print_text(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@click.command(short_help="Print the user data of a machine")
@click.argument("machine", metavar="POOL|servers", shell_complete=options.complete_pools)
@click.option(
    "--arch", type=click.Choice(["x86_64", "arm64"]), help="Which architecture. [the only one, or that of the servers]"
)
@options.source
@options.output
@options.verbose("Also name the launch template, on standard error.")
def render(*, machine: str, arch: str | None, **given: Any) -> None:
    """Print the user data with which the machines of a pool, or the servers, are launched."""
    from reconciler.cli.render import render as work

    work(Given(**given), machine=machine, arch=arch)


# --- the sandbox as a place of its own -------------------------------------------------------------------------------


@click.group(short_help="The simulated world: make a workload for it from a live cluster")
def sandbox() -> None:
    """The simulated Nomad and EC2, apart from any document."""


@sandbox.command(name="import", short_help="Make a workload file from a live cluster's jobs")
@click.option("--address", metavar="URL", help="Where Nomad is. [$NOMAD_ADDR]")
def import_(*, address: str | None) -> None:
    """Make a workload file from a live cluster's jobs."""
    raise click.UsageError(f"not implemented yet (asked for {address or '$NOMAD_ADDR'})")


COMMANDS = (validate, plan, status, explain, schema, render, sandbox)
