"""Whoever does not talk to AWS does not wait for boto3."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["reconciler.cli.main", "reconciler.bootstrap.simulated", "providers.ec2.codes", "providers.ec2.content"]
)
def test_the_sandbox_and_the_command_line_start_without_boto3(module: str) -> None:
    said = f"import sys, {module}; print([m for m in ('boto3', 'botocore') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True)  # noqa: S603

    assert done.stdout.strip() == "[]"
