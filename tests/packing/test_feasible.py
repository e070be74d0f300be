"""Nomad's filters on nodes that are there and on machines that nobody has seen yet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.packing.candidate import Candidate, is_unique, of_node
from reconciler.packing.feasible import Kind, blocker, spelt, targets, unsatisfiable
from schemas.world import DeviceAsk, DeviceGroup, VolumeAsk
from support.builders import a_constraint, a_job, a_node, a_task_group

NODE = of_node(
    a_node(
        node_class="big",
        meta={"rack": "r1"},
        attributes={"cpu.arch": "amd64", "driver.java": "1", "driver.qemu": "false", "driver.odd": "perhaps"},
        devices=(DeviceGroup(vendor="nvidia", type="gpu", name="T4", count=1),),
        host_volumes={"data": False, "certs": True, "shard[0]": False},
        network_modes=frozenset({"host", "bridge"}),
        host_networks=frozenset({"default", "lan"}),
    )
)
UNSEEN = Candidate(
    name="general m6i.large",
    datacenter="dc1",
    node_pool="default",
    node_class="big",
    attributes=({"cpu.arch": "amd64"},),
    meta={"rack": "r1"},
    assumes_drivers=True,
)


def why(candidate: Candidate = NODE, *, job: dict[str, Any] | None = None, **group: Any) -> str | None:
    found = blocker(a_job(**(job or {})), a_task_group(**group), candidate)
    return found.text if found else None


def rule(left: str, operand: str, right: str = "") -> dict[str, Any]:
    return {"constraints": (a_constraint(left, operand, right),)}


def test_a_node_that_has_everything_passes() -> None:
    asks = (a_constraint("${meta.rack}", "=", "r1"), a_constraint("${node.class}", "=", "big"))

    assert why(constraints=asks, devices=(DeviceAsk(name="gpu"),), network_mode="bridge") is None


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("${node.unique.id}", "node-0001"),
        ("${node.unique.name}", "i-0001"),
        ("${node.datacenter}", "dc1"),
        ("${node.class}", "big"),
        ("${node.pool}", "default"),
        ("${attr.cpu.arch}", "amd64"),
        ("${meta.rack}", "r1"),
        ("${nothing.known}", None),
        ("${attr.no}", None),
        ("plain", "plain"),
    ],
)
def test_targets_resolve_as_nomad_resolves_them(target: str, value: str | None) -> None:
    assert NODE.resolve(target) == value


@pytest.mark.parametrize(
    ("globs", "passes"),
    [(("*",), True), (("dc*",), True), (("eu", "dc1"), True), (("dc",), False), (("dc?",), False), (("[d]c1",), False)],
)
def test_only_the_star_is_special_in_datacenters(globs: tuple[str, ...], passes: bool) -> None:
    assert (why(job={"datacenters": globs}) is None) is passes


@pytest.mark.parametrize(("pool", "passes"), [("default", True), ("all", True), ("gpu", False)])
def test_a_job_goes_to_its_node_pool_or_to_all(pool: str, passes: bool) -> None:
    assert (why(job={"node_pool": pool}) is None) is passes


def test_every_constraint_must_hold_and_the_first_that_does_not_is_told() -> None:
    asks = (a_constraint("${meta.rack}", "=", "r1"), a_constraint("${node.class}", "=", "huge"))

    assert why(constraints=asks) == "constraint ${node.class} = huge: ${node.class} is big"


def test_distinct_constraints_do_not_filter_a_single_node() -> None:
    assert why(constraints=(a_constraint("", "distinct_hosts", ""),)) is None


@pytest.mark.parametrize(
    ("driver", "passes"), [("docker", True), ("java", True), ("qemu", False), ("odd", False), ("podman", False)]
)
def test_a_driver_is_healthy_or_named_by_its_attribute(driver: str, passes: bool) -> None:
    assert (why(drivers=frozenset({driver})) is None) is passes


def test_an_unhealthy_driver_is_missing_whatever_its_attribute_says() -> None:
    assert why(replace(NODE, drivers={"java": False}), drivers=frozenset({"java"})) == "driver java is missing"


@pytest.mark.parametrize(
    ("group", "passes"),
    [
        ({"network_mode": "none", "host_networks": frozenset({"wan"})}, True),
        ({"network_mode": ""}, True),
        ({"network_mode": "cni/mine"}, False),
        ({"host_networks": frozenset({"lan"})}, True),
        ({"host_networks": frozenset({"wan"})}, False),
    ],
)
def test_network_modes_and_host_networks(group: dict[str, Any], passes: bool) -> None:
    assert (why(**group) is None) is passes


@pytest.mark.parametrize(
    ("volume", "text"),
    [
        (VolumeAsk(kind="host", source="data"), None),
        (VolumeAsk(kind="host", source="certs", read_only=True), None),
        (VolumeAsk(kind="host", source="certs"), "host volume certs is read only"),
        (VolumeAsk(kind="host", source="nope"), "host volume nope is missing"),
        (VolumeAsk(kind="host", source="shard", per_alloc=True), None),
        (VolumeAsk(kind="host", source="data", per_alloc=True), "host volume data is missing"),
        (VolumeAsk(kind="csi", source="anything"), None),
    ],
)
def test_host_volumes_are_there_and_writable_where_asked(volume: VolumeAsk, text: str | None) -> None:
    assert why(volumes=(volume,)) == text


def test_blockers_are_ordered_by_how_near_they_are_to_being_served() -> None:
    kinds = [
        blocker(a_job(node_pool="x"), a_task_group(), NODE),
        blocker(a_job(datacenters=("x",)), a_task_group(), NODE),
        blocker(a_job(), a_task_group(**rule("${meta.rack}", "=", "x")), NODE),
        blocker(a_job(), a_task_group(drivers=frozenset({"x"})), NODE),
        blocker(a_job(), a_task_group(devices=(DeviceAsk(name="x"),)), NODE),
        blocker(a_job(), a_task_group(network_mode="x"), NODE),
        blocker(a_job(), a_task_group(volumes=(VolumeAsk(kind="host", source="x"),)), NODE),
    ]

    assert [k.kind for k in kinds if k] == sorted(k.kind for k in kinds if k) == list(Kind)[:7]


# --- machines that nobody has seen -----------------------------------------------------------------------------------


def test_an_unknown_attribute_of_an_unseen_machine_does_not_match() -> None:
    text = why(UNSEEN, **rule("${attr.os.name}", "=", "debian"))

    assert text == "constraint ${attr.os.name} = debian: ${attr.os.name} is not known before such a machine was seen"
    assert why(UNSEEN, **rule("${attr.os.name}", "is_set")) is not None
    assert why(UNSEEN, **rule("${attr.os.name}", "is_not_set")) is not None


def test_an_unknown_attribute_differs_from_any_value() -> None:
    assert why(UNSEEN, **rule("${attr.os.name}", "!=", "windows")) is None
    assert why(UNSEEN, **rule("${attr.unique.hostname}", "!=", "bad-box")) is None
    assert why(UNSEEN, **rule("${node.unique.id}", "!=", "1234")) is None


def test_what_a_seen_image_does_not_show_is_not_there() -> None:
    seen = replace(UNSEEN, complete=True)

    assert why(seen, **rule("${attr.os.name}", "is_not_set")) is None
    assert why(seen, **rule("${attr.os.name}", "=", "debian")) == (
        "constraint ${attr.os.name} = debian: ${attr.os.name} is not set"
    )
    assert why(seen, **rule("${attr.unique.hostname}", "is_not_set")) is not None


def test_meta_is_known_from_the_document_alone() -> None:
    assert why(UNSEEN, **rule("${meta.rack}", "=", "r1")) is None
    assert why(UNSEEN, **rule("${meta.team}", "is_not_set")) is None


def test_a_driver_that_nobody_disproved_is_assumed() -> None:
    assert why(UNSEEN, drivers=frozenset({"exec2"})) is None
    assert why(replace(UNSEEN, assumes_drivers=False), drivers=frozenset({"exec2"})) == "driver exec2 is missing"


@pytest.mark.parametrize("target", ["${node.unique.name}", "${attr.unique.hostname}", "${meta.unique.id}"])
def test_a_rule_that_names_one_node_is_beyond_help(target: str) -> None:
    assert is_unique(target)
    found = unsatisfiable(a_task_group(**rule(target, "=", "n7")))
    assert found is not None
    assert found.kind is Kind.CONSTRAINT
    assert unsatisfiable(a_task_group(**rule(target, "!=", "n7"))) is None


def test_a_rule_is_spelt_as_nomad_spells_it() -> None:
    assert spelt(a_constraint("${meta.rack}", "is_set", "")) == "${meta.rack} is_set"
    assert spelt(a_constraint("", "distinct_hosts", "true")) == "distinct_hosts true"
    assert targets([a_task_group(**rule("${meta.b}", "=", "${meta.a}"))]) == ("${meta.a}", "${meta.b}")
