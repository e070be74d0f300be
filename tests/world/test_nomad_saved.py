"""A cluster is its state and its timeline: saved in the middle it has the same future, and one seed is one future."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import msgspec
import pytest

from support.nomad_alone import Saved, a_cluster_of, opened, play

STEPS = 14


def saved(cluster_bytes: bytes) -> Saved:
    return msgspec.json.decode(cluster_bytes, type=Saved)


def told(seed: int, *, save_at: tuple[int, ...] = ()) -> bytes:
    """Play the busy hour, saved and loaded at some of its minutes; gives all of the state at its end."""
    cluster = a_cluster_of(3, seed=seed)
    at = 0
    for stop in (*save_at, STEPS):
        play(cluster, at, stop)
        at = stop
        cluster = opened(saved(msgspec.json.encode(Saved(cluster.state, cluster.kernel.timeline))))
    return msgspec.json.encode(Saved(cluster.state, cluster.kernel.timeline))


@cache
def whole() -> bytes:
    return told(7)


@pytest.mark.parametrize("minute", range(1, STEPS))
def test_a_world_saved_at_any_minute_goes_on_as_if_it_had_never_stopped(minute: int) -> None:
    assert told(7, save_at=(minute,)) == whole()


def test_a_world_saved_every_minute_goes_on_the_same() -> None:
    assert told(7, save_at=tuple(range(1, STEPS))) == whole()


def test_another_seed_is_another_future() -> None:
    assert told(8) != whole()


def test_one_seed_gives_the_same_bytes_in_every_process() -> None:
    program = "import hashlib\nfrom world.test_nomad_saved import told\nprint(hashlib.sha256(told(7)).hexdigest())"
    tests = Path(__file__).parents[1]
    for hash_seed in ("0", "1234"):
        ran = subprocess.run(  # noqa: S603 - our own code
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": f"{tests}:{tests.parent}"},
            capture_output=True,
            check=True,
            text=True,
        )
        assert ran.stdout.strip() == hashlib.sha256(whole()).hexdigest()
