"""What a machine is made from: images, how Nomad gets onto it, what its agent is told besides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from schemas.document.base import Model, Text

Arch = Literal["x86_64", "arm64"]

Image = Annotated[
    str,
    Text("ami-[0-9A-Za-z]+|ssm:/[A-Za-z0-9_./:-]+", "an image", ("ami-0123456789abcdef0", "ssm:/aws/service/...")),
]
"""An AMI id, or ``ssm:`` and the name of a public or own parameter that holds one."""

_IMAGE_SCHEMA = {"type": "string", "pattern": "^(ami-[0-9A-Za-z]+|ssm:/[A-Za-z0-9_./:-]+)$"}

Images = Annotated[
    Mapping[Arch, Image],
    WithJsonSchema(
        {
            "type": "object",
            "properties": {
                "x86_64": {**_IMAGE_SCHEMA, "description": "Image of Intel and AMD machines."},
                "arm64": {**_IMAGE_SCHEMA, "description": "Image of Graviton machines."},
            },
            "additionalProperties": False,
        }
    ),
]
"""An image for each architecture that may be launched."""

Sha256 = Annotated[str, Text("[0-9a-f]{64}", "a SHA-256 in 64 lower-case hex digits", ("9f86d081...",))]


class Download(Model):
    """A Nomad release to fetch at boot, held to its checksum."""

    url: Annotated[
        str, Text("https?://[^\\s]+", "a URL", ("https://releases.example.com/nomad_2.0.5_linux_amd64.zip",))
    ]
    """Where the zip of the Nomad binary is; `{arch}` in it becomes `amd64` or `arm64`."""
    sha256: Sha256
    """Checksum of the zip."""


class AgentConfigSource(Model):
    """Agent configuration that lies elsewhere, held to its checksum."""

    source: Annotated[
        str,
        Text("s3://[^\\s]+|ssm:/[^\\s]+", "a place of agent configuration", ("s3://bucket/agent.json", "ssm:/agent")),
    ]
    """An object in S3 or a parameter, fetched by the machine at boot."""
    sha256: Sha256
    """Checksum of its content."""


def _install_form(value: object) -> str:
    return "download" if isinstance(value, Mapping | Download) else "word"


def _agent_form(value: object) -> str:
    elsewhere = isinstance(value, AgentConfigSource) or (isinstance(value, Mapping) and "source" in value)
    return "elsewhere" if elsewhere else "inline"


Install = Annotated[
    Annotated[Literal["baked", "apt"], Tag("word")] | Annotated[Download, Tag("download")],
    Discriminator(_install_form),
]
AgentConfig = Annotated[
    Annotated[Mapping[str, Any], Tag("inline")] | Annotated[AgentConfigSource, Tag("elsewhere")],
    Discriminator(_agent_form),
]


class Machine(Model):
    """What every machine of the group is made from, unless servers or a pool say otherwise."""

    images: Images = Field(default={}, examples=[{"x86_64": "ami-0123", "arm64": "ami-0456"}])
    """Image for each architecture: an AMI id, or `ssm:` and the name of a parameter that holds one.

    A parameter is resolved when the document changes and pinned then: a new publication is shown, not rolled."""
    install: Install = "baked"
    """How Nomad gets onto a machine: `baked` into the image, from HashiCorp's `apt` repository, or by `url`."""
    agent_config: AgentConfig = Field(
        default={}, examples=[{"client": {"options": {"driver.allowlist": "docker,exec"}}}]
    )
    """Nomad agent configuration, merged last into what the reconciler writes; or `{source, sha256}`. Never a secret."""


class MachineOverride(Model):
    """What is different for these machines, field by field; the rest is `spec.machine`'s. Images go by architecture."""

    images: Images | None = None
    """Images that differ, by architecture; an architecture that is not named keeps the group's."""
    install: Install | None = None
    """How Nomad gets onto these machines."""
    agent_config: AgentConfig | None = None
    """Agent configuration of these machines, in place of the group's."""
