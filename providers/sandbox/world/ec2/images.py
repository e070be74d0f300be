"""Which image a public parameter names: the account's one of the architecture that the name has in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud


def image_by_parameter(cloud: Cloud, name: str) -> str | None:
    """Look a parameter up; None when there is none of this name."""
    arch = "arm64" if "arm64" in name else "x86_64" if "x86_64" in name or "amd64" in name else ""
    return next((image.id for image in cloud.state.images.values() if image.arch == arch), None)
