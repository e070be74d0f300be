"""boto3 clients of one region, each made once, at its first use, and shared by all threads.

Region and endpoints, credentials of every kind (profile, role, web identity, instance profile) and ``AWS_ENDPOINT_URL``
are botocore's usual business.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from providers.events.box import LONG_POLL

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

T = TypeVar("T")

THREADS: Final = 16
"""Calls under way at a time; also the size of each connection pool, so that none is thrown away."""

_PRICED_IN: Final = {"eu": "eu-central-1", "ap": "ap-south-1", "me": "eu-central-1", "af": "eu-central-1"}
"""Where the Price List answers, by the first word of a region; us-east-1 for the rest."""


class Clients:
    """Clients of one region."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._session: boto3.Session | None = None
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()  # sessions are not thread-safe, clients are

    def ec2(self, *, writes: bool = False) -> EC2Client:
        """Give the client for reads, which botocore tries three times, or that for writes, which it tries once.

        A write is asked again by its key, by whoever knows the key; twice is not multiplied by three.
        """
        config = _config(tries=1, read_timeout=30) if writes else _config(tries=3, read_timeout=20)
        key = "ec2 writes" if writes else "ec2"
        return self._once(key, lambda session: session.client("ec2", self.region, config=config))

    def ssm(self) -> SSMClient:
        """Give the client for parameters."""
        config = _config(tries=3, read_timeout=10)
        return self._once("ssm", lambda session: session.client("ssm", self.region, config=config))

    def sqs(self) -> SQSClient:
        """Give the client for the interruption queue; it outwaits a long poll."""
        config = _config(tries=2, read_timeout=LONG_POLL + 10)
        return self._once("sqs", lambda session: session.client("sqs", self.region, config=config))

    def s3(self) -> Any:
        """Give the client for snapshots."""
        config = _config(tries=3, read_timeout=60)
        return self._once("s3", lambda session: session.client("s3", self.region, config=config))

    def secrets(self) -> Any:
        """Give the client for secrets."""
        config = _config(tries=3, read_timeout=10)
        return self._once("secrets", lambda session: session.client("secretsmanager", self.region, config=config))

    def pricing(self) -> PricingClient:
        """Give the client for the Price List, at the nearest of the few regions that have one."""
        where = _PRICED_IN.get(self.region.partition("-")[0], "us-east-1")
        config = _config(tries=3, read_timeout=20)
        return self._once("pricing", lambda session: session.client("pricing", where, config=config))

    def beside(self, service: Literal["iam", "service-quotas", "sts"]) -> Any:
        """Give the client of a service that only a look before the first launch asks."""
        config = _config(tries=2, read_timeout=10)
        return self._once(service, lambda session: session.client(service, self.region, config=config))

    def _once(self, key: str, make: Callable[[boto3.Session], T]) -> T:
        with self._lock:
            if self._session is None:
                self._session = _session()
            if key not in self._made:
                self._made[key] = make(self._session)
            return cast("T", self._made[key])


def _config(*, tries: int, read_timeout: float) -> Config:
    mode: Literal["standard"] = "standard"
    return Config(
        connect_timeout=4,
        read_timeout=read_timeout,
        max_pool_connections=THREADS,
        retries={"mode": mode, "total_max_attempts": tries},
        tcp_keepalive=True,
        user_agent_extra="nomad-reconciler",
    )


def _session() -> boto3.Session:
    """Give a session that reads EC2's times in half the CPU: listing instances is mostly reading times."""
    session = botocore.session.get_session()
    parsers = session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=_time)
    return boto3.Session(botocore_session=session)


def _time(value: Any) -> datetime:
    """Read ISO 8601 as EC2 writes it; other services write seconds, which botocore knows."""
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return parse_timestamp(value)
