"""A simulated world behind real ports: the ordinary command line forms and grows a cluster in it, boto3 talks to it."""

from __future__ import annotations

import json
import signal
import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from support.served_world import Served, connects, serving
from support.typed import Typed, reconcile

pytestmark = [pytest.mark.xdist_group("served"), pytest.mark.timeout(110)]

DEMO = Path(__file__).parents[2] / "specs" / "demo.yaml"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demo's world, sixty times as fast as the clock on the wall."""
    with serving("demo", "--speed", "60", folder=tmp_path_factory.mktemp("served")) as world:
        yield world


@pytest.fixture(scope="module")
def document(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's document, whose servers are asked at the port on which they are served."""
    text = DEMO.read_text(encoding="utf-8").replace("  nomad:\n", f"  nomad:\n    address: {served.nomad}\n")
    path = tmp_path_factory.mktemp("documents") / "demo.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def typed(served: Served, *arguments: str) -> Typed:
    return reconcile(*arguments, env=served.env)


def nomad(served: Served, path: str) -> Any:
    with urllib.request.urlopen(served.nomad + path, timeout=5) as answer:  # noqa: S310
        return json.load(answer)


def test_the_ordinary_command_line_forms_a_cluster_there_and_grows_it(served: Served, document: Path) -> None:
    asked = typed(served, "--once", "-f", str(document))
    assert asked.out.count("forming the quorum: slot") >= 3, asked.err
    served.until(lambda: served.answers("/v1/status/leader"))
    served.until(lambda: len(nomad(served, "/v1/operator/raft/configuration")["Servers"]) == 3)
    assert "mark the quorum as formed" in typed(served, "--once", "-f", str(document)).err

    def ready() -> int:
        typed(served, "--once", "-f", str(document))
        return sum(node["Status"] == "ready" for node in nomad(served, "/v1/nodes"))

    served.until(lambda: ready() >= 8)

    servers = [
        peer["Address"].partition(":")[0] for peer in nomad(served, "/v1/operator/raft/configuration")["Servers"]
    ]
    assert all(connects(host, served.nomad_port) for host in servers)
    assert not connects("127.9.9.9", served.nomad_port), "nobody is there"


def test_boto3_sees_the_same_account(served: Served) -> None:
    def client(name: str) -> Any:
        return boto3.client(
            name,  # type: ignore[call-overload]
            region_name=served.env["AWS_REGION"],
            endpoint_url=served.env["AWS_ENDPOINT_URL"],
            aws_access_key_id="sandbox",
            aws_secret_access_key="sandbox",
        )

    assert client("sts").get_caller_identity()["Account"] == "123456789012"
    (image,) = client("ec2").describe_images(ImageIds=["ami-0123"])["Images"]
    assert image["Architecture"] == "x86_64"
    assert client("ssm").get_parameter(Name="/company/nomad-arm64")["Parameter"]["Value"] == "ami-0456"
    quota = client("service-quotas").get_service_quota(ServiceCode="ec2", QuotaCode="L-1216C47A")["Quota"]["Value"]
    assert quota > 0
    profile = client("iam").get_instance_profile(InstanceProfileName="nomad-node")["InstanceProfile"]
    assert profile["Roles"][0]["RoleName"] == "nomad-node"
    queue = f"{served.env['AWS_ENDPOINT_URL']}/123456789012/interruptions"
    assert client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]["QueueArn"]
    with pytest.raises(client("sqs").exceptions.QueueDoesNotExist):
        client("sqs").receive_message(QueueUrl=queue + "-other")


def test_the_look_before_the_first_launch_finds_nothing_wrong_there(served: Served, document: Path) -> None:
    looked = typed(served, "validate", "--online", "-f", str(document), "-o", "json")

    checks = [check for group in json.loads(looked.out)["groups"] for check in group["checks"] if check["at"] == "aws"]
    not_ok = {check["what"] for check in checks if check["verdict"] != "ok"}
    assert not_ok <= {"launching fleets"}, "which needs a launch template"
    assert len(checks) > 10


def test_only_this_machine_is_served(served: Served) -> None:
    others = {entry[4][0] for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}

    for host in others - {"127.0.0.1"}:
        assert not connects(str(host), served.nomad_port), f"it listens on {host}"


def test_a_port_that_is_taken_is_said_with_a_way_out(served: Served) -> None:
    taken = reconcile("sandbox", "serve", "--nomad-port", str(served.nomad_port), "--ec2-port", "0")

    assert taken.code == 69
    assert f"port {served.nomad_port} of 127.0.0.1 cannot be had: somebody listens there" in taken.err
    assert "0 for any that is free" in taken.err


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_0_when_it_is_told_to_and_goes_on_from_its_file(how: signal.Signals, tmp_path: Path) -> None:
    state = tmp_path / "world.db"
    with serving("--state", str(state), "--seed", "7", folder=tmp_path) as world:
        assert "seed 7" in world.err
        world.process.send_signal(how)
        assert world.process.wait(timeout=20) == 0

    with serving("--state", str(state), folder=tmp_path) as again:
        assert "seed 7" in again.err
