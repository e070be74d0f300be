"""Simulated EC2 in one region: rules over virtual time, one small file for each thing that EC2 does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.ec2 import interruption, lifecycle, scheduled

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud


def register(cloud: Cloud) -> None:
    """Let time pass in an account."""
    lifecycle.register(cloud)
    interruption.register(cloud)
    scheduled.register(cloud)
