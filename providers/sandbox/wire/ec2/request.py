"""One request to the account as HTTP brings it, and its answer: which service is meant, and in which protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

Values = dict[str, Any]

XML, JSON = "text/xml;charset=UTF-8", "application/x-amz-json-1.0"
_SCOPE = re.compile(r"Credential=[^/,]*/\d{8}/[^/]+/(?P<service>[a-z0-9-]+)/aws4_request")
_TARGETS = {"AmazonSQS": "sqs", "AmazonSSM": "ssm", "AWSPriceListService": "pricing"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A POST: its headers by their names in lower case."""

    headers: Mapping[str, str]
    body: bytes

    @property
    def target(self) -> tuple[str, str]:
        """The service and operation that a request in JSON names."""
        service, _, action = self.headers.get("x-amz-target", "").partition(".")
        return service.partition("_")[0], action

    @property
    def service(self) -> str:
        """Who is asked: by the scope of the signature, or what the request itself names; EC2 is the default."""
        if (signed := _SCOPE.search(self.headers.get("authorization", ""))) is not None:
            return signed["service"]
        if (named := _TARGETS.get(self.target[0])) is not None:
            return named
        return "sts" if b"Version=2011-06-15" in self.body else "ec2"

    def json(self) -> Values:
        """Read the body of a request in JSON. Raises ServiceError."""
        try:
            read = msgspec.json.decode(self.body or b"{}")
        except msgspec.DecodeError as broken:
            raise ServiceError("SerializationException", str(broken)) from broken
        if not isinstance(read, dict):
            raise ServiceError("SerializationException", "an object is wanted")
        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An answer."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": XML})


class ServiceError(Exception):
    """A no of a service that speaks JSON; ``old`` is the code's name in the query protocol, where it had another."""

    def __init__(self, code: str, message: str, *, status: int = 400, old: str = "") -> None:
        self.code, self.message, self.status, self.old = code, message, status, old
        super().__init__(f"{code}: {message}")


def in_json(values: Values) -> Told:
    """Answer in JSON."""
    return Told(body=msgspec.json.encode(values), headers={"Content-Type": JSON})


def refused(error: ServiceError) -> Told:
    """Say no in JSON."""
    headers = {"Content-Type": JSON}
    if error.old:
        headers["x-amzn-query-error"] = f"{error.old};Sender"
    body = msgspec.json.encode({"__type": error.code, "message": error.message})
    return Told(body=body, status=error.status, headers=headers)
