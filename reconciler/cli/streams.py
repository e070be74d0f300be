"""Output that outlives its reader: a closed pipe never changes how a command ends."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click


def tell(text: str) -> None:
    """Write a line to standard error."""
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        silence(sys.stderr)


def give(text: str) -> None:
    """Write a line to standard output."""
    try:
        click.echo(text)
    except BrokenPipeError:
        silence(sys.stdout)


def silence(stream: IO[Any]) -> None:
    """Let what is still written to a stream go nowhere: whoever read it has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
