"""An AWS account under boto3's own clients: the sandbox's EC2, IAM and quotas beside it, and whatever a test breaks."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders

from providers.aws.clients import Clients
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.wire.ec2.protocol import write_answer, write_error
from providers.sandbox.wire.ec2.request import Asked
from support.aws_wire import REGION

Answer = tuple[int, bytes]


@cache
def _clients() -> Clients:
    return Clients(REGION)


@dataclass(slots=True)
class WholeAccount:
    """Answers every service that a look before the first launch asks; ``denied`` actions are refused."""

    wire: Ec2Wire
    denied: set[str] = field(default_factory=set)  # "ec2:RunInstances"
    broken: dict[str, Exception] = field(default_factory=dict)  # by service: nobody answers
    role: str | None = "nomad-node"  # of the instance profile; None: there is no profile
    spot_role: bool = True
    quota: float = 256.0
    bucket: bool = True
    security_groups: tuple[str, ...] = ("sg-0123",)
    asked: list[str] = field(default_factory=list)

    def clients(self) -> Clients:
        """Give clients that ask this account and nobody else."""
        clients = _clients()
        made: list[Any] = [clients.ec2(), clients.ec2(writes=True), clients.ssm(), clients.sqs(), clients.pricing()]
        made += [clients.s3(), clients.beside("iam"), clients.beside("sts"), clients.beside("service-quotas")]
        for client in made:
            hook: Callable[..., Any] = self._before_send
            client.meta.events.unregister("before-send", unique_id="whole account")
            client.meta.events.register("before-send", hook, unique_id="whole account")
        return clients

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        service = urlsplit(request.url).hostname.partition(".")[0]  # type: ignore[union-attr]
        target = headers.get("x-amz-target", "").rpartition(".")[2]
        action = target or dict(parse_qsl(body.decode())).get("Action", "")
        self.asked.append(f"{service}:{action}")
        if service in self.broken:
            raise self.broken[service]
        status, content = self._answer(service, action, Asked(headers=headers, body=body))
        return AWSResponse(request.url, status, HTTPHeaders.from_dict({}), _Raw(content))

    def _answer(self, service: str, action: str, asked: Asked) -> Answer:
        if f"{service}:{action}" in self.denied:
            return _denied(service, action)
        match service, action:
            case "iam", "GetInstanceProfile":
                return self._profile()
            case "iam", "GetRole":
                return _iam("GetRole", _ROLE) if self.spot_role else _no_entity()
            case "servicequotas", _:
                return 200, json.dumps({"Quota": {"Value": self.quota}}).encode()
            case "backups", _:  # a bucket, by the name of its host
                error = "<Error><Code>NoSuchBucket</Code><Message>not there</Message></Error>"
                return (200, b"<ListBucketResult></ListBucketResult>") if self.bucket else (404, error.encode())
            case "ec2", "DescribeSecurityGroups":
                rows = [{"GroupId": name, "GroupName": "nomad"} for name in self.security_groups]
                return 200, write_answer(action, {"SecurityGroups": rows}, "r")
            case _:
                told = self.wire.tell(asked)
                return told.status, told.body

    def _profile(self) -> Answer:
        if self.role is None:
            return _no_entity()
        role = _ROLE.replace("<RoleName>r<", f"<RoleName>{self.role}<").replace("Role>", "member>", 1)
        role = role.removesuffix("</Role>") + "</member>"
        inside = f"<InstanceProfile><InstanceProfileName>p</InstanceProfileName><Roles>{role}</Roles></InstanceProfile>"
        return _iam("GetInstanceProfile", inside)


_ROLE = "<Role><RoleName>r</RoleName></Role>"


def _iam(action: str, inside: str) -> Answer:
    return 200, f"<{action}Response><{action}Result>{inside}</{action}Result></{action}Response>".encode()


def _no_entity() -> Answer:
    error = "<Error><Type>Sender</Type><Code>NoSuchEntity</Code><Message>not found</Message></Error>"
    return 404, f"<ErrorResponse>{error}<RequestId>r</RequestId></ErrorResponse>".encode()


def _denied(service: str, action: str) -> Answer:
    message = f"You are not authorized to perform: {service}:{action}. Encoded authorization failure message: XYZ"
    if service == "ec2":
        return 403, write_error("UnauthorizedOperation", message, "r")
    if service == "iam":
        error = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        return 403, f"<ErrorResponse>{error}</ErrorResponse>".encode()
    return 400, json.dumps({"__type": "AccessDeniedException", "message": message}).encode()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


class _Raw(io.BytesIO):
    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.read()
