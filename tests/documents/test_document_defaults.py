"""What is not written, and what is written but does not matter."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from schemas.document import ClusterGroup, Pool, Servers, Spec, effective_machine
from schemas.document.notyet import REFUSED, WITHOUT_EFFECT
from schemas.document.shape import field_at
from support.documents import SMALL, group_of, loaded

# Every default of the design, in the words of a document: written out, they must change nothing.
WRITTEN_OUT = """\
  mode: enforce
  nomad:
    version: "2.0.5"
    region: global
    acl: false
    bootstrapToken: null
    gossipKey: null
    tls: null
  servers:
    count: 3
    instanceTypes: [t3.small, t3a.small]
    elasticIps: []
    replaceAfter: 5m
    registrationTimeout: 10m
    snapshots: {every: null, keep: 48, to: null}
    machine: {}
  pools:
    - name: general
      datacenter: dc1
      nodePool: default
      nodeClass: general
      drivers: []
      attributes: {}
      join: null
      size: {min: 1, max: 50}
      priority: 100
      instances:
        require: {vcpu: {min: 2, max: 16}, memoryGiB: {min: 4}, arch: [x86_64], burstable: false, exclude: ["*.metal"]}
      capacity: {spotPercent: 80, onDemandBase: 1, fallbackToOnDemand: true}
      headroom: []
      scaleDown:
        {enabled: true, cpuBelowPercent: 40, memoryBelowPercent: 40, period: 60s, periods: 5, maxPercent: 10,
         cooldown: 5m}
      drain: {deadline: 15m, batch: wait, ignoreSystemJobs: true}
      protect: []
      registration: {timeout: 10m}
      interruption: {onRebalance: replace-then-drain, onNotice: drain-now}
  disruption:
    maxUnavailablePercent: 10
    canary: {soak: 10m, above: 3}
    windows: []
  limits: {maxNodes: 400, maxHourlyCost: 120, maxLaunchesPerMinute: 50}
"""
LEFT_OUT = "  servers: {}\n  pools: [{name: general}]\n"


def test_the_defaults_are_those_of_the_design() -> None:
    assert group_of(SMALL + LEFT_OUT) == group_of(SMALL + WRITTEN_OUT)


def test_a_default_that_is_written_out_is_no_reason_for_a_warning() -> None:
    paths = {warning.path for warning in loaded(SMALL + WRITTEN_OUT).warnings}

    assert paths == {"spec.nomad.gossipKey", "spec.nomad.tls"}


def test_the_digest_is_of_what_a_document_means() -> None:
    short, long = (loaded(SMALL + rest).groups[0].digest for rest in (LEFT_OUT, "  # a comment\n" + WRITTEN_OUT))
    other = loaded(SMALL + LEFT_OUT.replace("general", "special")).groups[0].digest

    assert short == long
    assert len(short) == 64
    assert other != short


def test_omitted_servers_are_left_alone_and_empty_ones_are_the_default() -> None:
    assert group_of(SMALL + "  pools: [{name: a}]\n").spec.servers is None
    assert group_of(SMALL + "  servers: {}\n").spec.servers == Servers()


def test_one_headroom_unit_is_a_list_of_one() -> None:
    one = group_of(SMALL + "  pools: [{name: a, headroom: {units: 10, cpuMHz: 1000, memoryMiB: 512}}]\n")
    many = group_of(SMALL + "  pools: [{name: a, headroom: [{units: 10, cpuMHz: 1000, memoryMiB: 512}]}]\n")

    assert one == many
    (unit,) = one.spec.pools[0].headroom
    assert (unit.units, unit.cpu_mhz, unit.memory_mib) == (10, 1000, 512)


def test_a_group_reads_back_from_its_own_text() -> None:
    group = group_of(SMALL + WRITTEN_OUT)

    assert ClusterGroup.model_validate(group.model_dump(mode="json", by_alias=True)) == group


def test_a_group_cannot_be_changed() -> None:
    group = group_of(SMALL + LEFT_OUT)

    with pytest.raises(ValidationError):
        group.spec.mode = "paused"  # type: ignore[misc]


def test_python_writes_snake_case_and_documents_do_not() -> None:
    assert Servers(replace_after=timedelta(seconds=1)).replace_after == timedelta(seconds=1)
    (problem,) = loaded(SMALL + "  servers: {replace_after: 1m}\n").problems
    assert 'did you mean "replaceAfter"?' in str(problem)


@pytest.mark.parametrize("mode", ["enforce", "observe", "paused"])
def test_every_mode_is_taken(mode: str) -> None:
    assert group_of(SMALL + f"  mode: {mode}\n  servers: {{}}\n").spec.mode == mode


def test_what_is_not_implemented_is_named_as_the_document_names_it() -> None:
    """A field that is renamed must not fall out of these lists unseen."""
    for name in (*REFUSED, *WITHOUT_EFFECT):
        assert field_at(tuple(name.split("."))) is not None, name


# --- machines --------------------------------------------------------------------------------------------------------

OVERRIDES = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {name: small}
spec:
  aws: {region: us-east-1, subnets: [{id: subnet-a1, zone: us-east-1a}]}
  machine:
    images: {x86_64: ami-1, arm64: ami-2}
    agentConfig: {telemetry: {prometheus_metrics: true}}
  servers: {machine: {images: {x86_64: ami-3}}}
  pools:
    - {name: plain}
    - {name: other, machine: {images: {arm64: ami-4}, agentConfig: {log_level: DEBUG}}}
"""


def test_machines_are_overridden_field_by_field_and_images_by_architecture() -> None:
    group = group_of(OVERRIDES)
    plain, other = group.spec.pools
    assert group.spec.servers is not None

    assert effective_machine(group, group.spec.servers).images == {"x86_64": "ami-3", "arm64": "ami-2"}
    assert effective_machine(group, plain).images == {"x86_64": "ami-1", "arm64": "ami-2"}
    assert effective_machine(group, plain).agent_config == {"telemetry": {"prometheus_metrics": True}}
    assert effective_machine(group, other).images == {"x86_64": "ami-1", "arm64": "ami-4"}
    assert effective_machine(group, other).agent_config == {"log_level": "DEBUG"}
    assert effective_machine(group, other).install == "baked"


def test_models_can_be_made_in_python_from_lists_or_tuples() -> None:
    pool = Pool(name="a", drivers=("docker",))
    spec = {"aws": {"region": "us-east-1", "subnets": [{"id": "subnet-1", "zone": "us-east-1a"}]}, "pools": [pool]}

    assert Spec.model_validate(spec).pools == (pool,)
