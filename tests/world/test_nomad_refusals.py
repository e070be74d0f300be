"""What a real Nomad refuses in a job is refused in its words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from providers.sandbox.world.nomad.errors import ApiError
from support.nomad_alone import a_cluster_of, a_spec

Json = dict[str, Any]
SECOND = 10**9


def refusal(job: Json, *before: Json) -> str:
    cluster = a_cluster_of(0)
    for other in before:
        cluster.api.register_job(other)
    with pytest.raises(ApiError) as refused:
        cluster.api.register_job(job)
    assert refused.value.status == 500
    return refused.value.text


def in_group(change: Callable[[Json], Any], **job: Any) -> Json:
    spec = a_spec("web", **job)
    change(spec["Job"]["TaskGroups"][0])
    return spec


def of_group(text: str) -> str:
    return f"1 error occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* {text}\n\n\n\n"


def of_task(text: str) -> str:
    return of_group(f"Task t validation failed: 1 error occurred:\n\t* {text}\n\n")


@pytest.mark.parametrize(
    ("job", "text"),
    [
        (
            a_spec("web", 2, Type="system"),
            "1 error occurred:\n\t* Job task group g has count 2. Count cannot exceed 1 with system scheduler\n\n",
        ),
        (
            a_spec("web", Constraints=[{"LTarget": "${node.clas}", "Operand": "=", "RTarget": "big"}]),
            (
                "1 error occurred:\n\t* Constraint 1 validation failed: 1 error occurred:\n"
                '\t* unsupported attribute "${node.clas}"\n\n\n\n'
            ),
        ),
        (
            a_spec("web", Periodic={"Spec": "0 3 * * *"}),
            '1 error occurred:\n\t* Periodic can only be used with "batch" or "sysbatch" scheduler\n\n',
        ),
        (in_group(lambda g: g.update(Count=-1)), of_group("Task group count can't be negative")),
        (
            in_group(lambda g: g.update(Update={"HealthyDeadline": 900 * SECOND})),
            of_group("Healthy deadline must be less than progress deadline: 15m0s > 10m0s"),
        ),
        (
            in_group(lambda g: g.update(Migrate={"MaxParallel": 1}), Type="batch"),
            of_group('Job type "batch" does not allow migrate block'),
        ),
        (
            in_group(lambda g: g.update(Networks=[{"ReservedPorts": [{"Label": n, "Value": 80} for n in "ab"]}])),
            of_group(
                "Task group network validation failed: 1 error occurred:\n"
                "\t* Static port 80 already reserved by taskgroup network:a\n\n"
            ),
        ),
        (
            in_group(lambda g: g["Tasks"][0]["Resources"].update(MemoryMB=5)),
            of_task("1 error occurred:\n\t* 1 error occurred:\n\t* minimum MemoryMB value is 10; got 5\n\n\n\n"),
        ),
        (
            in_group(lambda g: g.update(EphemeralDisk={"SizeMB": 50})),
            of_task(
                "1 error occurred:\n\t* log storage (100 MB) must be less than requested disk capacity (50 MB)\n\n"
            ),
        ),
        (
            in_group(lambda g: g["Tasks"][0].update(Lifecycle={"Hook": "prestrat"})),
            of_task("Lifecycle validation failed: invalid hook: prestrat"),
        ),
        (
            in_group(lambda g: g.update(Disconnect={"LostAfter": SECOND, "StopOnClientAfter": SECOND})),
            of_group("Disconnect cannot be configured with both lost_after and stop_after"),
        ),
    ],
)
def test_a_job_that_cannot_be_is_refused(job: Json, text: str) -> None:
    assert refusal(job) == text


def test_a_job_cannot_change_its_type() -> None:
    batch, service = a_spec("web", Type="batch"), a_spec("web")
    assert refusal(service, batch) == 'cannot update job from type "batch" to "service"'


def test_a_job_cannot_become_periodic() -> None:
    plain = a_spec("web", Type="batch")
    periodic = a_spec("web", Type="batch", Periodic={"Spec": "0 3 * * *"})
    assert refusal(periodic, plain) == "cannot update non-periodic job to being periodic"
    assert refusal(plain, periodic) == "cannot update periodic job to being non-periodic"


def test_settings_that_do_nothing_are_told() -> None:
    told = a_cluster_of(0).api.register_job(in_group(lambda g: g.update(MaxClientDisconnect=SECOND)))["Warnings"]
    assert "MaxClientDisconnect is deprecated and ignored in favor of Disconnect.LostAfter" in told
