"""What a machine fetches at boot, against a metadata service and an AWS that check what they are asked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import reconciler
from reconciler.user_data import Fetch

SCRIPT = Path(reconciler.__file__).with_name("machine_files") / "fetch.py"
ROLE = Credentials("AKIDEXAMPLE", "not-a-secret/of+anybody", "session-token")
KEY = "cg8StVXbQJ0gPvMd9o7yrg=="


@dataclass(slots=True)
class Aws:
    """IMDSv2, SSM, Secrets Manager and S3 at one address; what is asked without a right signature is refused."""

    url: str
    parameters: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    role: bool = True
    refused: list[str] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    @property
    def aws(self) -> Aws:
        aws = self.server.aws  # type: ignore[attr-defined]
        assert isinstance(aws, Aws)
        return aws

    def do_PUT(self) -> None:
        self._answer(200, b"imds-token" if self.headers["X-aws-ec2-metadata-token-ttl-seconds"] else b"")

    def do_GET(self) -> None:
        if not self.path.startswith("/latest/"):
            self._signed(b"")
        elif self.headers["X-aws-ec2-metadata-token"] != "imds-token":
            self._answer(401, b"")
        elif not self.aws.role:
            self._answer(404, b"")
        elif self.path.endswith("/security-credentials/"):
            self._answer(200, b"nomad-node")
        else:
            role = {"AccessKeyId": ROLE.access_key, "SecretAccessKey": ROLE.secret_key, "Token": ROLE.token}
            self._answer(200, json.dumps(role).encode())

    def do_POST(self) -> None:
        self._signed(self.rfile.read(int(self.headers["Content-Length"])))

    def _signed(self, body: bytes) -> None:
        """Sign the request as botocore would, and compare."""
        told = re.match(r"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d+/([^/]+)/([^/]+)/aws4_request", self._header())
        assert told is not None
        region, service = told[1], told[2]
        names = re.search("SignedHeaders=([^,]+),", self._header())
        assert names is not None
        headers = {name: self.headers[name] for name in names[1].split(";")}
        request = AWSRequest(self.command, f"http://{self.headers['host']}{self.path}", headers, body)
        request.context["timestamp"] = headers["x-amz-date"]
        signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(ROLE, service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        if not self._header().endswith(f"Signature={signer.signature(text, request)}"):
            self.aws.refused.append(f"{service} {self.path}")
            self._answer(403, b'{"__type": "InvalidSignatureException"}')
        elif service == "s3":
            found = self.aws.objects.get(self.path)
            self._answer(404 if found is None else 200, found or b"NoSuchKey")
        else:
            self._service(json.loads(body))

    def _service(self, asked: dict[str, str]) -> None:
        if self.headers["x-amz-target"] == "AmazonSSM.GetParameter" and asked["Name"] in self.aws.parameters:
            assert asked["WithDecryption"]
            value = {"Parameter": {"Value": self.aws.parameters[asked["Name"]]}}
        elif self.headers["x-amz-target"] == "secretsmanager.GetSecretValue" and asked["SecretId"] in self.aws.secrets:
            value = {"SecretString": self.aws.secrets[asked["SecretId"]]}  # type: ignore[dict-item]
        else:
            self._answer(400, b'{"__type": "ParameterNotFound"}')
            return
        self._answer(200, json.dumps(value).encode())

    def _header(self) -> str:
        return str(self.headers["Authorization"])

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def aws() -> Iterator[Aws]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.aws = Aws(f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.aws  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()


def fetched(aws: Aws, place: Path, *wanted: Fetch) -> subprocess.CompletedProcess[str]:
    """Run the script with a plan for these files."""
    plan = place / "fetch.json"
    plan.write_text(json.dumps({"region": "us-east-1", "files": [w.plain() for w in wanted]}))
    env = {"AWS_ENDPOINT_URL": aws.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": aws.url, "PATH": os.environ["PATH"]}
    return subprocess.run(  # noqa: S603
        [sys.executable, "-I", "-S", str(SCRIPT), str(plan)],
        env=env, check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip


def test_files_come_from_wherever_a_reference_says(aws: Aws, tmp_path: Path) -> None:
    aws.parameters["/tls/ca"] = "-----BEGIN CERTIFICATE-----\n"
    aws.secrets["tls-key"] = "-----BEGIN PRIVATE KEY-----\n"
    aws.objects["/bucket/some%20dir/agent.hcl"] = b'log_level = "DEBUG"\n'
    done = fetched(
        aws,
        tmp_path,
        Fetch(source="ssm:/tls/ca", to=f"{tmp_path}/tls/ca.pem"),
        Fetch(source="secretsmanager:tls-key", to=f"{tmp_path}/tls/key.pem"),
        Fetch(source="s3://bucket/some dir/agent.hcl", to=f"{tmp_path}/40-fetched.*"),
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tls/ca.pem").read_text() == "-----BEGIN CERTIFICATE-----\n"
    assert (tmp_path / "tls/key.pem").read_text() == "-----BEGIN PRIVATE KEY-----\n"
    assert (tmp_path / "40-fetched.hcl").read_text() == 'log_level = "DEBUG"\n'
    assert aws.refused == []


def test_what_was_fetched_is_root_s_alone_and_never_printed(aws: Aws, tmp_path: Path) -> None:
    aws.parameters["/gossip"] = KEY
    done = fetched(aws, tmp_path, Fetch(source="ssm:/gossip", to=f"{tmp_path}/d/60-gossip.json", key="server.encrypt"))

    assert KEY not in done.stdout + done.stderr
    assert stat.S_IMODE((tmp_path / "d/60-gossip.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700


def test_a_gossip_key_becomes_a_configuration(aws: Aws, tmp_path: Path) -> None:
    aws.parameters["/gossip"] = f"{KEY}\n"
    fetched(aws, tmp_path, Fetch(source="ssm:/gossip", to=f"{tmp_path}/60-gossip.json", key="server.encrypt"))

    assert json.loads((tmp_path / "60-gossip.json").read_text()) == {"server": {"encrypt": KEY}}


@pytest.mark.parametrize("good", [True, False])
def test_a_configuration_is_taken_only_with_the_checksum_of_the_document(
    aws: Aws, tmp_path: Path, *, good: bool
) -> None:
    content = b'{"log_level": "DEBUG"}'
    aws.objects["/bucket/agent.json"] = content
    checksum = hashlib.sha256(content if good else b"other").hexdigest()
    done = fetched(aws, tmp_path, Fetch(source="s3://bucket/agent.json", to=f"{tmp_path}/40.*", sha256=checksum))

    assert (done.returncode == 0) is good
    assert (tmp_path / "40.json").exists() is good
    assert good or "its SHA-256 is" in done.stderr


@pytest.mark.parametrize(
    ("source", "role", "said"),
    [
        ("ssm:/not-there", True, "ssm:/not-there: .* answered 400: .*ParameterNotFound"),
        ("secretsmanager:not-there", True, "secretsmanager:not-there: .* answered 400"),
        ("s3://bucket/not-there", True, "s3://bucket/not-there: .* answered 404: NoSuchKey"),
        ("ssm:/x", False, "this machine has no role to fetch anything with"),
        ("env:TOKEN", True, "env:TOKEN: no reference of a kind that is known here"),
    ],
)
def test_what_cannot_be_fetched_is_named_and_the_boot_fails(
    aws: Aws, tmp_path: Path, source: str, role: bool, said: str
) -> None:
    aws.role = role
    done = fetched(aws, tmp_path, Fetch(source=source, to=f"{tmp_path}/file"))

    assert done.returncode == 1
    assert re.search(f"^nomad-reconciler: {said}", done.stderr), done.stderr
    assert not (tmp_path / "file").exists()


def test_a_service_that_is_silent_is_named(aws: Aws, tmp_path: Path) -> None:
    silent = Aws("http://127.0.0.1:1")
    done = fetched(silent, tmp_path, Fetch(source="ssm:/x", to=f"{tmp_path}/file"))

    assert done.returncode == 1
    assert "127.0.0.1:1 did not answer" in done.stderr
