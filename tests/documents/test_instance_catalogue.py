"""The catalogue of instance types and what a document asks of it."""

from __future__ import annotations

import csv
import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.prices.shipped import load_catalogue
from schemas.catalogue import Catalogue, InstanceType
from schemas.document import Require
from schemas.document.pool import IntRange, NumberRange
from support.documents import ROOT

CATALOGUE = load_catalogue()


def _names(*globs: str, require: Require | None = None) -> list[str]:
    return [t.name for t in CATALOGUE.matching(globs, require)]


def test_every_type_of_which_enough_is_known_is_there() -> None:
    with (ROOT / "providers/prices/data/ec2-instance-types.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))

    known = {row["instance_type"] for row in rows if row["vcpu"] and row["memory_mib"] and row["nomad_cpu_mhz"]}
    assert set(CATALOGUE) == known
    assert len(rows) - len(known) == 13


def test_a_type_is_what_the_table_says() -> None:
    assert CATALOGUE["m6i.2xlarge"] == InstanceType(
        name="m6i.2xlarge",
        vcpu=8,
        cores=4,
        memory_mib=32768,
        arch="x86_64",
        cpu_mhz=28000,
        current_generation=False,
        on_demand_usd_per_hour=0.384,
    )
    gpu = CATALOGUE["g5.12xlarge"]
    assert (gpu.gpu_count, gpu.gpu_name, gpu.local_nvme_gb) == (4, "NVIDIA A10G", 3800)
    assert CATALOGUE["t4g.small"].burstable
    assert CATALOGUE["t4g.small"].arch == "arm64"
    assert CATALOGUE["m6i.metal"].bare_metal
    assert not CATALOGUE["u7i-12tb.224xlarge"].spot_supported


def test_names_and_globs_answer_in_the_order_of_names() -> None:
    assert _names("m6i.large", "c6i.large", "m6i.large") == ["c6i.large", "m6i.large"]
    assert _names("m6i.?xlarge") == ["m6i.2xlarge", "m6i.4xlarge", "m6i.8xlarge"]
    assert _names("m6i.lar") == []
    assert _names("M6I.LARGE") == []
    assert _names() == list(CATALOGUE)
    assert list(CATALOGUE) == sorted(CATALOGUE)


def test_bounds_count_both_ends() -> None:
    require = Require(vcpu=IntRange(min=4, max=8), memory_gib=NumberRange(min=16, max=32))

    assert _names("m6i.*", "c6i.*", require=require) == ["c6i.2xlarge", "m6i.2xlarge", "m6i.xlarge"]


def test_what_is_not_wanted_is_left_out() -> None:
    everything = Require(arch=("x86_64", "arm64"), burstable=None, exclude=())

    assert _names(require=everything) == list(CATALOGUE)
    assert all(not CATALOGUE[name].burstable for name in _names(require=Require()))
    assert all(CATALOGUE[name].burstable for name in _names(require=Require(burstable=True)))
    assert "m6i.metal" not in _names("m6i.*", require=Require())
    assert "m6i.metal" in _names("m6i.*", require=Require(exclude=()))


GLOBS = st.sampled_from(["m6i.*", "*.large", "c?i.xlarge", "[mr]5.*", "t3.small", "nothing.*", "g*"])


@given(st.lists(GLOBS, min_size=1, max_size=4))
def test_a_glob_means_what_the_shell_means(globs: list[str]) -> None:
    wanted = [name for name in CATALOGUE if any(fnmatch.fnmatchcase(name, glob) for glob in globs)]

    assert _names(*globs) == wanted


def test_it_loads_once_and_quickly() -> None:
    load_catalogue.cache_clear()
    began = time.process_time()
    first = load_catalogue()
    took = time.process_time() - began

    assert took < 0.2  # some 20 ms on a quiet machine
    assert load_catalogue() is first


def test_a_catalogue_of_few_is_a_catalogue() -> None:
    few = Catalogue([CATALOGUE["m6i.large"], CATALOGUE["c6i.large"]])

    assert list(few) == ["c6i.large", "m6i.large"]
    assert few.matching(["m6i.*"]) == (CATALOGUE["m6i.large"],)
    with pytest.raises(KeyError):
        few["r6i.large"]
