"""Devices are matched by name and by attributes with units."""

from __future__ import annotations

import pytest

from reconciler.packing.devices import matches, shortage
from schemas.world import DeviceAsk, DeviceGroup
from support.builders import a_constraint

T4 = DeviceGroup(
    vendor="nvidia",
    type="gpu",
    name="T4",
    count=2,
    attributes={"memory": "15360 MiB", "driver": "535.1", "cores": "40"},
)
A10 = DeviceGroup(vendor="nvidia", type="gpu", name="A10G", count=1, attributes={"memory": "23028 MiB"})


@pytest.mark.parametrize(("name", "fits"), [("gpu", True), ("nvidia/gpu", True), ("nvidia/gpu/T4", True)])
def test_a_device_is_asked_for_by_type_vendor_or_name(name: str, fits: bool) -> None:
    assert matches(T4, DeviceAsk(name=name)) is fits


@pytest.mark.parametrize("name", ["fpga", "amd/gpu", "nvidia/gpu/A10G", "nvidia"])
def test_another_device_is_not_what_was_asked_for(name: str) -> None:
    assert not matches(T4, DeviceAsk(name=name))


@pytest.mark.parametrize(
    ("left", "operand", "right", "fits"),
    [
        ("${device.attr.memory}", ">=", "15 GiB", True),
        ("${device.attr.memory}", ">=", "16 GiB", False),
        ("${device.attr.memory}", "=", "15360 MiB", True),
        ("${device.attr.memory}", "!=", "15 GiB", False),
        ("${device.attr.memory}", "<", "16 GHz", False),  # different things
        ("${device.attr.memory}", "!=", "16 GHz", False),
        ("${device.attr.nope}", "!=", "1", True),  # one side missing: different
        ("${device.attr.nope}", "=", "1", False),
        ("${device.attr.nope}", "is_not_set", "", True),
        ("${device.attr.driver}", "version", ">= 500", True),
        ("${device.attr.cores}", ">", "9", True),
        ("${device.model}", "=", "T4", True),
        ("${device.model}", ">", "T3", True),
        ("${device.vendor}", "=", "nvidia", True),
        ("${device.type}", "regexp", "^g", True),
        ("${device.ids}", "=", "x", False),
    ],
)
def test_a_devices_attributes_are_compared_in_their_units(left: str, operand: str, right: str, fits: bool) -> None:
    assert matches(T4, DeviceAsk(name="gpu", constraints=(a_constraint(left, operand, right),))) is fits


def test_all_asks_must_be_met_together_each_by_one_kind() -> None:
    assert shortage((T4, A10), (DeviceAsk(name="gpu", count=2), DeviceAsk(name="nvidia/gpu/A10G"))) is None
    assert (
        shortage((T4, A10), (DeviceAsk(name="gpu", count=3),))
        == "asks for 3 gpu, has 2 nvidia/gpu/T4, 1 nvidia/gpu/A10G"
    )
    assert shortage((), (DeviceAsk(name="gpu"),)) == "asks for 1 gpu, has none"
