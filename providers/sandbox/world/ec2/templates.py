"""Launch templates: a unique name, a content that is hardly looked at until a launch uses it (source: aws.md §2)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import Json, LaunchTemplate

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.context import Cloud


def create_template(cloud: Cloud, name: str, content: Json, tags: dict[str, str]) -> LaunchTemplate:
    """Make a template; InvalidLaunchTemplateName.AlreadyExistsException when the name is taken."""
    if not 3 <= len(name) <= 128:
        raise Ec2Error("InvalidLaunchTemplateName.MalformedException", f"'{name}': 3 to 128 characters are allowed")
    if name in cloud.state.templates:
        raise Ec2Error("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
    made = LaunchTemplate(
        id=f"lt-{cloud.kernel.new_id().replace('-', '')[:17]}",
        name=name,
        created_at=cloud.kernel.now,
        content=copy.deepcopy(content),
        tags=dict(tags),
    )
    cloud.state.templates[name] = made
    return made


def describe_templates(cloud: Cloud, *, name: str | None = None, prefix: str = "") -> list[LaunchTemplate]:
    """List templates by name order; none of a name that does not exist."""
    names = [name] if name is not None else sorted(cloud.state.templates)
    return [found for n in names if n.startswith(prefix) and (found := cloud.state.templates.get(n)) is not None]


def template_of(cloud: Cloud, name: str) -> LaunchTemplate:
    """Look a template up by name; InvalidLaunchTemplateName.NotFoundException when there is none."""
    if (found := cloud.state.templates.get(name)) is None:
        raise Ec2Error(
            "InvalidLaunchTemplateName.NotFoundException",
            "At least one of the launch templates specified in the request does not exist.",
        )
    return found


def delete_template(cloud: Cloud, name: str) -> None:
    """Remove a template; InvalidLaunchTemplateName.NotFoundException when there is none."""
    template_of(cloud, name)
    del cloud.state.templates[name]
