#!/usr/bin/env python3
"""Fetches what must not stand in user data, by reference and with this machine's own role, and prints none of it.

Runs before anything is installed: the standard library alone, Python 3.7 or newer, which cloud-init brings along.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

PLAN = "/etc/nomad-reconciler/fetch.json"
METADATA = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://169.254.169.254")
SECONDS = 10


class FailedError(Exception):
    """What the console shows."""


def main(plan_file: str) -> int:
    """Fetch all that the plan names: ``{"region": …, "files": [{"from", "to", "sha256"?, "key"?}]}``."""
    with open(plan_file, encoding="utf-8") as file:  # noqa: PTH123
        plan = json.load(file)
    try:
        role = credentials()
        for wanted in plan["files"]:
            try:
                save(wanted, fetch(wanted["from"], plan["region"], role))
            except FailedError as error:
                raise FailedError("{}: {}".format(wanted["from"], error)) from error
    except FailedError as error:
        print(f"nomad-reconciler: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def fetch(reference: str, region: str, role: dict[str, str]) -> bytes:
    """Give what a reference means: ``ssm:/NAME``, ``secretsmanager:NAME`` or ``s3://BUCKET/KEY``."""
    if reference.startswith("s3://"):
        path = urllib.parse.quote("/" + reference[len("s3://") :], safe="/~-._")
        return ask("s3", region, role, path)
    kind, _, name = reference.partition(":")
    if kind == "ssm":
        what: dict[str, object] = {"Name": name, "WithDecryption": True}
        answer = json.loads(ask("ssm", region, role, "/", "AmazonSSM.GetParameter", what))
        return str(answer["Parameter"]["Value"]).encode()
    if kind == "secretsmanager":
        answer = json.loads(ask(kind, region, role, "/", "secretsmanager.GetSecretValue", {"SecretId": name}))
        if "SecretString" not in answer:
            raise FailedError("it is binary, and must be text")
        return str(answer["SecretString"]).encode()
    raise FailedError("no reference of a kind that is known here")


def save(wanted: dict[str, str], content: bytes) -> None:
    """Write a file whole and for root alone: as it is, or below a key of a configuration."""
    if wanted.get("sha256") and hashlib.sha256(content).hexdigest() != wanted["sha256"]:
        raise FailedError("its SHA-256 is {}, not {}".format(hashlib.sha256(content).hexdigest(), wanted["sha256"]))
    path = wanted["to"]
    if path.endswith(".*"):  # Nomad goes by the name
        path = path[:-1] + ("json" if content.lstrip()[:1] == b"{" else "hcl")
    if wanted.get("key"):
        value: object = content.decode().strip()
        for key in reversed(wanted["key"].split(".")):
            value = {key: value}
        content = json.dumps(value).encode()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
    with os.fdopen(os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    os.replace(path + ".new", path)  # noqa: PTH105


def credentials() -> dict[str, str]:
    """Give the credentials of the machine's role (IMDSv2)."""
    lives = {"X-aws-ec2-metadata-token-ttl-seconds": "300"}
    token = call(urllib.request.Request(METADATA + "/latest/api/token", method="PUT", headers=lives)).decode()  # noqa: S310
    where = METADATA + "/latest/meta-data/iam/security-credentials/"

    def get(url: str) -> str:
        return call(urllib.request.Request(url, headers={"X-aws-ec2-metadata-token": token})).decode()  # noqa: S310

    try:
        found: dict[str, str] = json.loads(get(where + get(where).split("\n")[0]))
    except (FailedError, ValueError) as error:
        raise FailedError(f"this machine has no role to fetch anything with (aws.instanceProfile): {error}") from error
    return found


def ask(  # noqa: PLR0917
    service: str,
    region: str,
    role: dict[str, str],
    path: str,
    target: str = "",
    what: dict[str, object] | None = None,
) -> bytes:
    """Send one signed request to a service."""
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    base = os.environ.get("AWS_ENDPOINT_URL") or f"https://{service}.{region}.{domain}"
    body = json.dumps(what).encode() if what is not None else b""
    headers = {
        "host": urllib.parse.urlsplit(base).netloc,
        "x-amz-content-sha256": hashlib.sha256(body).hexdigest(),
        "x-amz-date": time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()),
        "x-amz-security-token": role["Token"],
    }
    if target:
        headers["content-type"] = "application/x-amz-json-1.1"
        headers["x-amz-target"] = target
    method = "POST" if what is not None else "GET"
    headers["authorization"] = signature(method, path, headers, service, region, role)
    return call(urllib.request.Request(base + path, data=body or None, headers=headers, method=method))  # noqa: S310


def signature(  # noqa: PLR0917
    method: str, path: str, headers: dict[str, str], service: str, region: str, role: dict[str, str]
) -> str:
    """Sign all headers (AWS Signature Version 4)."""
    names = ";".join(sorted(headers))
    listed = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    request = "\n".join([method, path, "", listed, names, headers["x-amz-content-sha256"]])
    scope = "/".join([headers["x-amz-date"][:8], region, service, "aws4_request"])
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest])
    key = ("AWS4" + role["SecretAccessKey"]).encode()
    for part in [*scope.split("/"), text]:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    credential = role["AccessKeyId"] + "/" + scope
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={names}, Signature={key.hex()}"


def call(request: urllib.request.Request) -> bytes:
    """Send a request and give the body of its answer, or say in words what went wrong."""
    where = request.host or ""
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # noqa: S310
            return bytes(answer.read())
    except urllib.error.HTTPError as error:
        told = error.read(500).decode("utf-8", "replace").replace("\n", " ")
        raise FailedError(f"{where} answered {error.code}: {told}") from error
    except OSError as error:
        raise FailedError(f"{where} did not answer: {error}") from error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else PLAN))
