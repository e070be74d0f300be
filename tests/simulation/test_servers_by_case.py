"""One thing goes wrong in every state that servers can be in: no quorum is lost by our doing, and all comes right.

A witness inside the world looks at the truth every virtual second (tests/support/servers_play.py). ``./task simulate --
--pairs`` plays every pair of faults too, ``--seed 7`` another chance; ``-s`` prints the table.
"""

from __future__ import annotations

from itertools import product

import pytest

from support.servers_play import FAULTS, STATES, Case, play_case

BOUND = 3000.0  # virtual seconds in which the wanted voters are there; two patiences of ten minutes fit in


def told(state: str, faults: tuple[str, ...], case: Case) -> str:
    """Give the case's line of the table."""
    end = "lost by the faults alone" if case.lost else f"{case.voters} voters after {case.seconds:.0f} s"
    return f"{state:20} | {' + '.join(faults):50} | {end}"


def test_what_goes_wrong_is_survived(server_state: str, server_faults: tuple[str, ...], fault_seed: int) -> None:
    state = STATES[server_state]
    case = play_case(state, *(FAULTS[name] for name in server_faults), seed=fault_seed)

    line = told(server_state, server_faults, case)
    print(line)  # noqa: T201 - the table, which ``-s`` shows
    servers = state.wanted.spec.servers
    assert servers is not None
    assert not case.wrong, f"{line}: {case.wrong[:3]}"
    if case.lost:
        assert bearable_no_more(server_state, server_faults), f"{line}: {case.last}"
        assert "docs/runbooks/quorum-lost.md" in case.last
        return
    assert case.converged, f"{line}: {case.last}"
    assert case.voters == servers.count, line
    assert case.seconds <= BOUND, line


def bearable_no_more(state: str, faults: tuple[str, ...]) -> bool:
    """Two voters of three are hurt: one before, or two by these faults. One alone never ends a quorum."""
    hurting = [f for f in faults if f.startswith(("follower", "leader", "machine"))]
    return len(hurting) + state.startswith("replacing") >= 2


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_faults" not in metafunc.fixturenames:
        return
    single: list[tuple[str, ...]] = [(f,) for f in FAULTS]
    pairs: list[tuple[str, ...]] = list(product(FAULTS, repeat=2)) if metafunc.config.getoption("--pairs") else []
    cases = [(state, faults) for state in STATES for faults in single + pairs]
    names = [f"{state}: {' + '.join(faults)}" for state, faults in cases]
    metafunc.parametrize(("server_state", "server_faults"), cases, ids=names)
    metafunc.parametrize("fault_seed", [metafunc.config.getoption("--seed") or 1])
