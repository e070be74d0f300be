"""What real servers did, second by second, done again by the simulated ones (recordings/servers 01-32).

The recordings do not say how long a cluster had stood, nor which of two things at one instant came first: a replay may
try. Who is elected and when gossip notices a death is chance; it falls as recorded, if it could have fallen so here.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from providers.sandbox.replay_servers import main, replay
from providers.sandbox.timelines.recording import Recording, Row, Step, read

FILES = sorted((Path(__file__).parents[1] / "recordings" / "servers").glob("*.json"))
APART_MAX = {  # seconds; where a recording waits long for something, 20 % of that
    "replace-same-name-new-ip": 6.0,  # 98 s after the start the survivors are told to forget the name
}


def recorded(number: int) -> Recording:
    return read(next(f for f in FILES if f.name.startswith(f"{number:02}-")))


def shifted(recording: Recording, who: str, *, after: float, by: float) -> Recording:
    rows = [Row(r.at + by, r.who, r.what) if r.who == who and r.at > after else r for r in recording.rows]
    return replace(recording, rows=sorted(rows, key=lambda r: r.at))


def altered(original: Recording, recording: Recording) -> str:
    """What a replay says of an altered recording under the circumstances under which the true one agrees."""
    told = replay(recording, circumstances=replay(original).circumstances)
    return "\n".join([str(told), *map(str, told.differences)])


def test_all_thirty_two_timelines_are_here() -> None:
    assert len(FILES) == 32


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_simulated_servers_do_what_the_real_ones_did(path: Path) -> None:
    verdict = replay(read(path))

    assert str(verdict) == f"ok {verdict.name}"
    assert verdict.apart_max <= APART_MAX.get(verdict.name, 2.0)
    assert verdict.brief <= 9
    assert len(verdict.pairs) > verdict.brief


def test_a_failure_noticed_at_once_would_differ() -> None:
    true = recorded(2)

    assert "DIFFERS follower-killed: members@s1, recorded at 10.3" in altered(
        true, shifted(true, "members@s1", after=20, by=-30)
    )


@pytest.mark.parametrize(("number", "who", "after"), [(9, "raft@s1", 30), (11, "raft@s4", 10), (19, "raft@s3", 70)])
def test_a_change_that_came_half_a_minute_later_would_differ(number: int, who: str, after: float) -> None:
    true = recorded(number)

    assert f"\n{who}, recorded at " in altered(true, shifted(true, who, after=after, by=30))


def test_another_answer_to_a_request_would_differ() -> None:
    true = recorded(10)
    asked = true.steps[1]
    steps = [true.steps[0], Step(asked.at, asked.text, {"status": 200, "body": None}), *true.steps[2:]]

    assert "DIFFERS remove-peer-dead: ASK remove the dead one by address" in altered(true, replace(true, steps=steps))


def test_a_change_that_was_never_recorded_would_differ() -> None:
    true = recorded(3)
    rows = [r for r in true.rows if not (r.who == "members@s1" and "failed" in r.what)]

    assert "members@s1, recorded nothing, ours at " in altered(true, replace(true, rows=rows))


def test_a_state_too_brief_to_be_seen_may_be_missing() -> None:
    recording = recorded(28)
    flicker = [Row(10.0, "leader@s2", "500 rpc error: stream closed"), Row(10.5, "leader@s2", "s1")]
    verdict = replay(replace(recording, rows=sorted([*recording.rows, *flicker], key=lambda r: r.at)))

    assert (verdict.differences, verdict.brief) == ((), 2)  # the flicker and the return from it


def test_each_file_has_its_line_and_the_exit_status_tells_the_worst(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = json.loads(FILES[27].read_text(encoding="utf-8"))
    other["timeline"].append([40.0, "leader@s1", "s2"])
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    (tmp_path / "broken.json").write_text("[]", encoding="utf-8")

    assert main([str(FILES[27])]) == 0
    assert main([str(FILES[27]), str(tmp_path / "other.json")]) == 1
    assert main([str(tmp_path / "broken.json")]) == 2
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["ok", "ok", "DIFFERS", "UNREADABLE"]


def test_the_table_gives_the_recorded_second_and_ours(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--table", str(FILES[1])])

    assert "members@s1: s1.global@s1 alive; s2.global@s2 failed; s3.global@s3 alive" in capsys.readouterr().out


def test_words_that_are_not_known_are_refused() -> None:
    strange = replace(recorded(28), steps=[Step(1.0, "turn s2 upside down")])

    with pytest.raises(ValueError, match="not known: turn s2"):
        replay(strange)
