"""Same seed, same bytes: in another process, with other hash seeds, with faults."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from providers.stores.sqlite import SqliteStore
from support.demo_run import DOCUMENT
from support.typed import ROOT, Typed, environment, reconcile

HASH_SEEDS = ("0", "1", "4242")
ONE_RUN = "from support.told_run import tell; print(tell({seed}), end='')"


def demo(folder: Path, hash_seed: str) -> tuple[Typed, bytes]:
    """The demo from its beginning to its end: what it printed, and the world that it left."""
    state = folder / f"{hash_seed}.db"
    arguments = ("--once", "--wait", "10m", "-o", "json", "-f", DOCUMENT, "--state", str(state), "--sandbox")
    typed = reconcile(*arguments, env={"PYTHONHASHSEED": hash_seed}, timeout=110)
    return typed, SqliteStore(state, read_only=True).saved_world() or b""


@pytest.mark.timeout(240)
def test_the_whole_program_prints_and_does_the_same_whatever_the_hash_seed(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        first, *others = pool.map(lambda seed: demo(tmp_path, seed), HASH_SEEDS[:2])

    assert first[0].code == 0
    assert '"converged": true' in first[0].out
    assert len(first[1]) > 100_000
    for other in others:
        assert other[0].out == first[0].out
        assert other[0].err == first[0].err
        assert hashlib.sha256(other[1]).hexdigest() == hashlib.sha256(first[1]).hexdigest()


def run_in_a_process(seed: int, hash_seed: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", ONE_RUN.format(seed=seed)],
        cwd=ROOT,
        env=environment(PYTHONHASHSEED=hash_seed, PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}"),
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    return done.stdout


@pytest.mark.timeout(240)
def test_a_run_with_faults_is_the_same_in_every_process() -> None:
    told = {run_in_a_process(5, hash_seed) for hash_seed in HASH_SEEDS}

    assert len(told) == 1
    assert told != {run_in_a_process(6, "0")}
