"""Options that several commands share; imports nothing but click."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

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
        "--group",
        metavar="NAME",
        multiple=True,
        shell_complete=complete_groups,
        help="Only this group; repeatable.",
    )(command)
    return click.option(
        "-f",
        "--file",
        "files",
        metavar="PATH",
        multiple=True,
        default=(DEFAULT_SOURCE,),
        type=click.Path(),
        help="A document, a directory (not recursive), or consul://HOST:PORT/PREFIX; repeatable. [default: specs/]",
    )(command)


def world(command: F) -> F:
    """Which outside: the sandbox, for now."""
    command = click.option("--seed", type=int, metavar="N", help="With --sandbox: the seed of a new world. [0]")(
        command
    )
    command = click.option(
        "--state",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="With --sandbox: keep the simulated world in this file, and go on from it.",
    )(command)
    return click.option(
        "--sandbox",
        metavar="[SCENARIO]",
        is_flag=False,
        flag_value="demo",
        default=None,
        help="Run against a simulated Nomad and EC2, from a scenario: a name or a file. [demo]",
    )(command)


def output(command: F) -> F:
    """How it is printed."""
    return click.option(
        "-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", help="How to print. [text]"
    )(command)


def verbose(help_text: str) -> Callable[[F], F]:
    """How much is printed; ``help_text`` says what more there is."""
    return click.option("-v", "--verbose", is_flag=True, help=help_text)


def refuse_before_command(ctx: click.Context) -> None:
    """Refuse options that stand before a command: they would be ignored, as each command has its own."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = parameter.opts[-1]
            raise click.UsageError(
                f"{option} belongs after the command: reconcile {ctx.invoked_subcommand} {option} ..."
            )


# --- completion: by a look at the text, without reading documents properly -------------------------------------------

_GROUP = re.compile(
    r"^metadata:\s*(?:\{[^}\n]*?\bname:\s*|(?:#.*)?\n(?:[ \t]+.*\n|\s*\n)*?[ \t]+name:\s*)([a-z0-9-]+)", re.MULTILINE
)
_POOL = re.compile(r"^[ \t]*- *\{?\s*name:\s*[\"']?([a-z0-9-]+)", re.MULTILINE)


def complete_groups(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the names of the groups in the documents."""
    return _matching((m for text in _texts(ctx) for m in _GROUP.findall(text)), incomplete)


def complete_pools(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer ``servers`` and what looks like a pool's name."""
    return _matching(("servers", *(m for text in _texts(ctx) for m in _POOL.findall(text))), incomplete)


def _matching(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in sorted(set(names)) if name.startswith(incomplete)]


def _texts(ctx: click.Context) -> Iterable[str]:
    for name in ctx.params.get("files") or (DEFAULT_SOURCE,):
        path = Path(name)
        for file in sorted(path.glob("*.y*ml")) if path.is_dir() else [path]:
            try:
                yield file.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue  # completion offers what it can, and never complains
