"""The commands beside ``reconcile`` itself: their options and help. What does the work is imported when it runs."""

# ruff: noqa: PLC0415 - that is the point of this file: --help and completion stay quick

from __future__ import annotations

from typing import Any

import click

from reconciler.cli import options
from reconciler.cli.options import Given


@click.command(short_help="Check documents, and with --online what they need outside; change nothing")
@options.source
@click.option("--online", is_flag=True, help="Also ask Nomad and AWS: reach, rights, clock, and what is named there.")
@options.output
def validate(*, online: bool, **given: Any) -> None:
    """Check documents; change nothing. Without --online nobody is asked.

    Every mistake is told at once, as file:line:column: path: what is wrong; what would be right.
    Ends with 65 when there is one; with --online also with 69 when somebody does not answer, with 1 for other problems.
    """
    if online:
        from reconciler.cli.online import validate_online

        validate_online(Given(**given))
        return
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


@click.command(short_help="Print the least IAM and Nomad policies")
@click.option(
    "--only",
    "part",
    type=click.Choice(["reconciler", "machines", "nomad"]),
    help="Print this policy alone, as it is: to be piped on.",
)
@click.option("--read-only", "looks", is_flag=True, help="What plan, status and explain need: for CI, or for a person.")
@click.option("--account", metavar="ID", help="The AWS account, twelve digits. [any]")
@click.option("--role", metavar="NAME|ARN", help="The role in aws.instanceProfile. [the one of the profile's name]")
@click.option(
    "--namespace",
    metavar="NAME",
    envvar="NOMAD_NAMESPACE",
    default="default",
    help="Where the journal's variables are in Nomad. [$NOMAD_NAMESPACE, default]",
)
@options.source
@options.output
def iam(*, part: str | None, looks: bool, account: str | None, role: str | None, namespace: str, **given: Any) -> None:
    """Print the least rights that a document needs: IAM policies of the reconciler and of its machines, Nomad's ACL."""
    from reconciler.cli.iam import iam as work

    work(Given(**given), part=part, account=account, role=role, namespace=namespace, looks=looks)


@click.command(short_help="Show what a document would do to a workload, over virtual days")
@options.source
@click.option(
    "--workload", required=True, metavar="FILE|NAME", help="Jobs over time: a file, or the name of a shipped one."
)
@click.option("--for", "length", default="7d", metavar="DURATION", help="How long, in virtual time. [7d]")
@click.option(
    "--faults",
    metavar="FILE|RATES",
    help="What goes wrong at the ports: a script that a run printed, light, heavy, or kind=chance,… a call.",
)
@click.option("--shrink", "smallest", is_flag=True, help="Look for the smallest fault script that still breaks a rule.")
@click.option("--every-look", is_flag=True, help="Leave out no look though nothing has changed: slow, for comparison.")
@click.option("--seed", type=int, metavar="N", help="The seed of prices, interruptions, noise and faults. [0]")
@options.output
def simulate(*, workload: str, length: str, faults: str | None, smallest: bool, every_look: bool, **given: Any) -> None:
    """Show what a document would do to a workload, over virtual days; no account, no wall-clock.

    The very program runs against the simulated Nomad and EC2. The same command prints the same bytes.
    Ends with 1 when something that must always hold was broken.
    """
    from reconciler.cli.simulate import simulate as work

    work(Given(**given), workload=workload, length=length, faults=faults, smallest=smallest, every_look=every_look)


# --- the sandbox as a place of its own -------------------------------------------------------------------------------


@click.group(short_help="The simulated world: make a workload for it from a live cluster")
def sandbox() -> None:
    """The simulated Nomad and EC2, apart from any document."""


@sandbox.command(name="import", short_help="Make a workload file from a live cluster's jobs")
@click.option("--address", metavar="URL", help="Where Nomad is. [$NOMAD_ADDR]")
@click.option("--name", default="imported", metavar="NAME", help="What the workload is called. [imported]")
def import_(*, address: str | None, name: str) -> None:
    """Make a workload file from a live cluster's jobs, for `reconcile simulate`.

    Only what decides where work goes is taken: no environment, no template, no configuration, nothing that could be
    a secret. The file goes to standard output. NOMAD_TOKEN and its kin are read as Nomad's own tools read them.
    """
    from reconciler.cli.imported import import_jobs as work

    work(address, name=name)


@sandbox.command(short_help="Serve the simulated world over HTTP on this machine")
@click.argument("scenario", default="demo", metavar="[SCENARIO]")
@click.option("--nomad-port", type=click.IntRange(0, 65535), default=4646, help="Nomad's port; 0: any free one. [4646]")
@click.option("--ec2-port", type=click.IntRange(0, 65535), default=4566, help="EC2's port; 0: any free one. [4566]")
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Keep the world in this file at the end, and go on from it.",
)
@click.option("--seed", type=int, metavar="N", help="The seed of a new world. [0]")
@click.option(
    "--speed",
    type=click.FloatRange(0.1, 600),
    default=1.0,
    metavar="N",
    help="So many seconds of the world in one of ours. [1]",
)
def serve(*, scenario: str, nomad_port: int, ec2_port: int, state: str | None, seed: int | None, speed: float) -> None:
    """Serve the simulated world over HTTP on this machine, for this program, Nomad's CLI, boto3 and the AWS CLI.

    SCENARIO is a shipped one's name or a file. What is to be exported goes to standard output, so that
    `reconcile sandbox serve > env &` and `. ./env` are enough. Only loopback addresses are listened on.
    """
    from reconciler.cli.sandbox_serve import serve as work

    work(scenario, nomad_port=nomad_port, ec2_port=ec2_port, state=state, seed=seed, speed=speed)


COMMANDS = (validate, plan, status, explain, schema, render, iam, simulate, sandbox)
