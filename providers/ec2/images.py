"""What an image is: its id, looked up when a parameter holds it, and its root volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from providers.aws.clients import Clients
from providers.ec2.answers import part
from providers.ec2.content import RootVolume
from schemas.faults import Refusal, RefusedError, Source

_PARAMETER: Final = "ssm:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image; without a root volume of its own (instance store) that is None."""

    id: str = ""
    root: RootVolume | None = None


class Images:
    """Images by id; an id always means the same image, so each is looked up once."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._known: dict[str, Image] = {}

    def look_up(self, image: str, what: str) -> Image:
        """Find an image by id or by ``ssm:`` and a parameter's name (blocks; "" is no image).

        Raises botocore's errors; RefusedError when there is no such parameter or image.
        """
        if not image:
            return Image()
        image_id = self._parameter(image.removeprefix(_PARAMETER), what) if image.startswith(_PARAMETER) else image
        if image_id not in self._known:
            self._known[image_id] = Image(id=image_id, root=self._root(image_id, what))
        return self._known[image_id]

    def _root(self, image_id: str, what: str) -> RootVolume | None:
        client = self._clients.ec2()
        try:
            found = part(client.describe_images(ImageIds=[image_id]), "Images")
        except client.exceptions.ClientError as error:
            if not error.response["Error"]["Code"].startswith("InvalidAMIID"):
                raise
            found = []
        if not found:
            told = f"image {image_id} does not exist in {self._clients.region}, or is not shared with this account"
            raise _no(what, told, "InvalidAMIID.NotFound")
        name = found[0].get("RootDeviceName", "")
        volumes = {m.get("DeviceName"): m.get("Ebs", {}) for m in found[0].get("BlockDeviceMappings", ())}
        size = volumes.get(name, {}).get("VolumeSize")
        return RootVolume(device=name, gib=size) if size else None

    def _parameter(self, name: str, what: str) -> str:
        client = self._clients.ssm()
        try:
            value: str = part(client.get_parameter(Name=name), "Parameter").get("Value", "")
        except client.exceptions.ParameterNotFound as error:
            raise _no(what, f"there is no parameter {name} in {self._clients.region}", "ParameterNotFound") from error
        if not value.startswith("ami-"):
            raise _no(what, f'parameter {name} holds "{value[:40]}", which is no image id', "ParameterNotAnImage")
        return value


def _no(what: str, message: str, code: str) -> RefusedError:
    return RefusedError(Source.EC2, what, message, why=Refusal.SPECIFICATION, code=code)
