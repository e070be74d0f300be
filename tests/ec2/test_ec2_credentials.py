"""Credentials of every usual kind sign what is sent, by botocore's own means; and how often anything is tried."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.prices.shipped import load_catalogue
from reconciler.surroundings import look_around
from schemas.faults import UnansweredError
from support.aws_wire import REGION, Wire, run, says_no
from support.builders import NOON, a_group, a_pool, an_instance

pytestmark = pytest.mark.xdist_group("moto")

ROLE = "arn:aws:iam::123456789012:role/reconciler"


def an_account() -> Any:
    """moto, which would put credentials of its own into the environment."""
    return mock_aws(config={"core": {"mock_credentials": False}})


def signer() -> tuple[str, bool]:
    """Whose key signed a request, and whether a session token went with it."""
    clients, seen = Clients(REGION), []

    def note(request: Any, **_: object) -> None:
        seen.append(request.headers)

    clients.ec2().meta.events.register_first("before-send.ec2", note)
    run(lambda: AwsEc2(clients, lambda: NOON).addresses())
    headers = seen[0]
    text = headers["Authorization"]
    text = text.decode() if isinstance(text, bytes) else text
    return text.partition("Credential=")[2].partition("/")[0], "X-Amz-Security-Token" in headers


@pytest.fixture
def bare(no_account: None, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    return monkeypatch


def test_keys_of_the_environment_sign(no_account: None) -> None:
    with an_account():
        assert signer() == ("testing", False)


def test_a_profile_s_role_is_assumed(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "config"
    keys = "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = s\n"
    config.write_text(f"{keys}[profile ops]\nrole_arn = {ROLE}\nsource_profile = base\nregion = {REGION}\n")
    with an_account():
        bare.setenv("AWS_CONFIG_FILE", str(config))
        bare.setenv("AWS_PROFILE", "ops")
        key, temporary = signer()

    assert key.startswith("ASIA")
    assert temporary


def test_a_web_identity_is_exchanged_for_its_role(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So a Nomad job with a workload identity, or a pod with a service account, comes to its rights."""
    token = tmp_path / "token"
    token.write_text("eyJhbGciOiJSUzI1NiJ9.e30.c2lnbmF0dXJl")
    with an_account():
        bare.setenv("AWS_ROLE_ARN", ROLE)
        bare.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
        key, temporary = signer()

    assert key.startswith("ASIA")
    assert temporary


class _Imds(BaseHTTPRequestHandler):
    """The instance metadata service, version 2: nothing without a token."""

    def do_PUT(self) -> None:
        self._say("token-1")

    def do_GET(self) -> None:
        if self.headers.get("X-aws-ec2-metadata-token") != "token-1":
            self.send_error(401)
        elif self.path.endswith("/security-credentials/"):
            self._say("node-role")
        else:
            keys = {"AccessKeyId": "ASIAIMDS", "SecretAccessKey": "s", "Token": "t"}
            self._say(json.dumps({**keys, "Code": "Success", "Expiration": "2099-01-01T00:00:00Z"}))

    def _say(self, text: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def imds() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Imds)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_instance_profile_is_asked_of_the_metadata_service(bare: pytest.MonkeyPatch) -> None:
    with an_account(), imds() as endpoint:
        bare.delenv("AWS_EC2_METADATA_DISABLED")
        bare.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint)

        assert signer() == ("ASIAIMDS", True)


def test_without_any_credentials_nothing_was_asked_and_it_is_said(bare: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        with pytest.raises(UnansweredError, match="credentials"):
            await AwsEc2(Clients(REGION), lambda: NOON).addresses()

    run(work)


# --- how often


def test_a_tick_s_reads_are_tried_three_times_each_by_botocore_and_not_again_by_us(no_account: None) -> None:
    """EC2 is broken: one look asks each question once, so three requests each and no more."""
    broken = says_no("InternalError", 500)
    actions = (
        "DescribeInstances",
        "DescribeLaunchTemplates",
        "DescribeInstanceTypeOfferings",
        "DescribeSubnets",
        "DescribeInstanceStatus",
    )
    wire = Wire({action: [broken] for action in actions})
    wire.clients.pricing().meta.events.register("before-send.pricing", _refuse, unique_id="broken")
    group = a_group(pools=[a_pool()])

    async def work() -> None:
        ec2 = wire.ec2()
        for ask in (ec2.instances, ec2.template_names):
            with pytest.raises(UnansweredError):
                await ask("demo")
        await look_around(ec2, group, load_catalogue(), [an_instance()])

    try:
        run(work)
    finally:
        wire.clients.pricing().meta.events.unregister("before-send.pricing", unique_id="broken")
    assert Counter(wire.actions()) == dict.fromkeys(actions, 3)


def _refuse(**_: object) -> None:
    raise EndpointConnectionError(endpoint_url="https://api.pricing")
