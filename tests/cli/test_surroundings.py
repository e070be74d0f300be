"""The command line among other programs: pipes that close, terminals, signals, files that are held or are not ours."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import sqlite3
import struct
import subprocess
import termios
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.demo_run import DOCUMENT, Demo, world
from support.typed import ROOT, command, environment, reconcile

pytestmark = pytest.mark.xdist_group("demo")

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-7]")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(
    *arguments: str, columns: int, env: Mapping[str, str] | None = None, stderr_too: bool = False
) -> tuple[int, str]:
    """Type a command on a terminal of this width; gives the exit code and what the terminal received."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(  # noqa: S603 - our own program
        command(*arguments),
        cwd=ROOT,
        env=environment(**{"TERM": "xterm-256color", **(env or {})}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs if stderr_too else subprocess.DEVNULL,
    )
    os.close(theirs)
    received = b""
    with contextlib.suppress(OSError):  # Linux says EIO when the last writer has gone
        while chunk := os.read(ours, 65536):
            received += chunk
    os.close(ours)
    return process.wait(30), received.decode()


def bare(text: str) -> str:
    """Text without escapes and blanks: what is left when lines are wrapped."""
    return re.sub(r"\s+", "", ESCAPE.sub("", text))


# --- pipes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(["status"], 0), (["plan", "--detailed-exitcode"], 2), (["status", "-o", "json"], 0), (["render", "general"], 0)],
)
def test_a_reader_that_goes_away_changes_neither_the_exit_code_nor_says_a_word(arguments: list[str], code: int) -> None:
    world = [] if arguments[0] == "render" else ["--sandbox"]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command(*arguments, "-f", DOCUMENT, *world),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()  # before it has written anything

    assert (process.stderr.read(), process.wait(30)) == (b"", code)
    process.stderr.close()


def test_a_bad_document_is_told_though_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: Nothing\n", encoding="utf-8")
    process = subprocess.Popen(  # noqa: S603 - our own program
        command("validate", "-f", str(tmp_path)), cwd=ROOT, env=environment(), stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    process.stderr.close()

    assert process.wait(30) == 65


# --- terminals -------------------------------------------------------------------------------------------------------


def test_a_terminal_gets_colour_unless_it_is_not_wanted(demo: Demo) -> None:
    _, coloured = on_a_terminal("status", *demo.world, columns=120)
    _, plain = on_a_terminal("status", *demo.world, columns=120, env={"NO_COLOR": "1"})
    _, dumb = on_a_terminal("status", *demo.world, columns=120, env={"TERM": "dumb"})

    assert COLOUR.search(coloured)
    assert not COLOUR.search(plain)
    assert "\x1b" not in dumb


@pytest.mark.parametrize("columns", [40, 80, 140])
def test_a_narrow_terminal_wraps_and_cuts_nothing_off(columns: int, demo: Demo) -> None:
    piped = reconcile("status", *demo.world).out
    _, shown = on_a_terminal("status", *demo.world, columns=columns)

    assert max(len(ESCAPE.sub("", line)) for line in shown.splitlines()) <= columns
    held = piped.partition("\nHeld back")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(held) >= 2
    for line in held:
        message = line.split("  ", 3)[3]
        assert bare(message) in bare(shown)
    seen = bare(shown)
    heads = re.compile(r"[A-Z/-]+")  # of columns that go below their rows
    lost = [word for word in set(re.findall(r"\S+", piped)) if word not in seen and not heads.fullmatch(word)]
    assert not lost


def test_progress_on_a_terminal_ends_with_the_report(tmp_path: Path) -> None:
    code, shown = on_a_terminal("--once", *world(tmp_path / "w.db"), columns=80, stderr_too=True)

    assert code == 0
    assert "launch server 0" in shown
    assert "servers 0/3" in ESCAPE.sub("", shown)
    assert shown.index("launch server 0") < shown.index("one pass, not converged yet")


# --- signals ---------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_with_130_and_the_world_goes_on_afterwards(tmp_path: Path) -> None:
    state = tmp_path / "w.db"
    process = subprocess.Popen(  # noqa: S603 - our own program
        command(*world(state)), cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "launch server 2" in line:
            break
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Traceback" not in rest
    assert rest.endswith("interrupted\n")
    after = json.loads(reconcile("--once", "--wait", "10m", "-o", "json", *world(state)).out)["groups"][0]
    assert len(after["servers"]) == 3
    assert after["converged"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_that_another_process_holds_ends_with_5(demo: Demo, tmp_path: Path) -> None:
    state = demo.copy(tmp_path)
    holder = sqlite3.connect(state, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")

    ended = [reconcile(*arguments, *world(state)) for arguments in (["--once"], ["status"])]
    holder.close()

    assert [e.code for e in ended] == [5, 5]
    assert all("is in use by another process" in e.err for e in ended)


def test_a_file_that_is_not_ours_is_left_as_it_is(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("do not lose me\n" * 100, encoding="utf-8")

    ended = reconcile("--once", *world(notes))

    assert ended.code == 64
    assert "is no state file of the sandbox" in ended.err
    assert notes.read_text("utf-8") == "do not lose me\n" * 100


@pytest.mark.parametrize("state", ["no/such/folder/w.db", "/proc/w.db", "/dev/full/w.db"])
def test_a_place_where_no_file_can_be_made_is_a_usage_error(state: str) -> None:
    ended = reconcile("--once", *world(Path(state)))

    assert (ended.code, ended.out) == (64, "")
    assert state in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("option", [["--seed", "7"], ["--sandbox=other"]])
def test_a_world_keeps_the_seed_and_the_scenario_that_it_began_with(option: list[str], demo: Demo) -> None:
    ended = reconcile("status", "-f", DOCUMENT, "--sandbox", "--state", str(demo.state), *option)

    assert ended.code == 64
    assert "leave that option out, or name another file" in ended.err


def test_without_a_terminal_the_service_says_when_in_full(tmp_path: Path) -> None:
    process = subprocess.Popen(  # noqa: S603 - our own program
        command("-f", DOCUMENT, "--sandbox"), cwd=ROOT, env=environment(), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = [line for line in (process.stderr.readline() for _ in range(5)) if not line.startswith("warning: ")]
    started = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)

    assert time.monotonic() - started < 10
    assert lines
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  demo  \+ launch server", line) for line in lines)
