"""Options that several commands share; imports nothing but click."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])
DEFAULT_SOURCE = "specs/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the shared options were given."""

    files: tuple[str, ...] = (DEFAULT_SOURCE,)
    group: tuple[str, ...] = ()
    sandbox: str | None = None
    state: str | None = None
    seed: int | None = None
    output: str = "text"
    verbose: bool = False


def source(command: F) -> F:
    """Which documents."""
    command = click.option(
        "-f",
        "--file",
        "files",
        metavar="PATH",
        multiple=True,
        default=(DEFAULT_SOURCE,),
        help="A document, or a directory of them (not recursive); repeatable. [default: specs/]",
    )(command)
    return click.option("--group", metavar="NAME", multiple=True, help="Only this group; repeatable.")(command)


def world(command: F) -> F:
    """Which outside: the sandbox, for now."""
    command = click.option(
        "--sandbox",
        metavar="[SCENARIO]",
        is_flag=False,
        flag_value="demo",
        default=None,
        help="Run against a simulated Nomad and EC2, from a scenario: a name or a file. [demo]",
    )(command)
    command = click.option(
        "--state", metavar="FILE", help="With --sandbox: keep the simulated world in this file, and go on from it."
    )(command)
    return click.option("--seed", type=int, metavar="N", help="With --sandbox: the seed of a new world. [0]")(command)


def output(command: F) -> F:
    """How it is printed."""
    command = click.option(
        "-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", help="How to print. [text]"
    )(command)
    return click.option("-v", "--verbose", is_flag=True, help="Say more.")(command)


def refuse_before_command(ctx: click.Context) -> None:
    """Refuse options that stand before a command: they would be ignored, as each command has its own."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = parameter.opts[-1]
            raise click.UsageError(f"{option} belongs after the command: reconcile {ctx.invoked_subcommand} {option} …")
