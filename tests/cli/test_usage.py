"""What is typed wrong is told with the way out, and ends with 64; documents come first, and end with 65."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.typed import ROOT, environment, reconcile, reconcile_here

HEAVY = ("pydantic", "boto3", "httpx", "rich", "anyio", "highspy", "msgspec", "ruamel", "schemas.document", "providers")

GOOD = """\
apiVersion: nomad-reconciler/v1alpha1
kind: ClusterGroup
metadata: {{name: {name}}}
spec:
  nomad: {{gossipKey: null}}
  aws:
    region: us-east-1
    subnets:
      - {{id: subnet-a1, zone: us-east-1a}}
      - {{id: subnet-b1, zone: us-east-1b}}
      - {{id: subnet-c1, zone: us-east-1c}}
  machine: {{images: {{x86_64: ami-0123}}}}
  servers: {{count: 3}}
"""


def documents(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["plan", "--help"], ["explain", "--help"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from reconciler.cli.main import main\n"
        "try:\n    main(sys.argv[1:])\n"
        "finally:\n"
        f"    print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_help_names_every_command_and_every_exit_code() -> None:
    shown = reconcile("--help")

    assert shown.code == 0
    for word in ("validate", "plan", "status", "explain", "schema", "render", "simulate", "sandbox"):
        assert f"\n  {word} " in shown.out
    for code in ("0", "1", "2", "3", "5", "64", "65", "69", "130"):
        assert f"\n    {code} " in shown.out


def test_no_short_help_is_cut_off() -> None:
    assert "..." not in reconcile("--help").out.partition("Commands:")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["paln"], "paln is no command. Did you mean plan?"),
        (["nonsense"], "There are: validate, plan, status, explain, schema, render, iam, simulate, sandbox."),
        (["plan", "--sandbx"], "Did you mean '--sandbox'?"),
        (["--group", "demo", "status"], "--group belongs after the command: reconcile status --group"),
        (["--wait", "10m", "--sandbox"], "--wait and --digest go with --once"),
        (["--once", "--sandbox", "--wait", "5"], 'write text with a unit (s, m, h, d), such as "90s"'),
        (["--once", "--sandbox", "--wait", ""], "--wait:"),
        (["--once", "--state", "x"], "--state goes with --sandbox"),
        (["plan", "--seed", "7"], "--seed goes with --sandbox"),
        (["validate", "-f", "no/such.yaml"], "no/such.yaml: no such file or directory"),
        (["validate", "-f", "consul://localhost:8500"], "name the prefix below which the documents are"),
        (["validate", "-f", "specs/demo.yaml", "--group", "dmeo"], "Did you mean demo?"),
        (["plan", "-f", "specs/demo.yaml", "--sandbox", "demmo"], "shipped ones: demo"),
        (["explain"], "Missing argument"),
        (["explain", "pod", "web"], "name one job, node or server"),
        (["render", "generl", "-f", "specs/demo.yaml"], "Did you mean general?"),
        (["render", "batch", "-f", "specs/demo.yaml"], "batch may use arm64 and x86_64: choose one with --arch"),
        (["render", "gpu", "-f", "specs/demo.yaml", "--arch", "arm64"], "gpu may only use x86_64"),
    ],
)
def test_a_usage_error_says_the_way_out(arguments: list[str], said: str) -> None:
    typed = reconcile_here(*arguments)

    assert (typed.code, typed.out) == (64, "")
    assert said in typed.err


def test_a_usage_error_ends_a_process_with_64_and_without_a_traceback() -> None:
    typed = reconcile("paln")

    assert (typed.code, typed.out) == (64, "")
    assert "Traceback" not in typed.err


def test_two_groups_want_a_choice_for_a_digest_and_for_a_pool(tmp_path: Path) -> None:
    both = documents(tmp_path, a=GOOD.format(name="a"), b=GOOD.format(name="b"))

    digest = reconcile_here("--once", "--sandbox", "--digest", "0", "-f", str(both))
    render = reconcile_here("render", "servers", "-f", str(both))

    assert (digest.code, render.code) == (64, 64)
    assert "choose it with --group (a, b)" in digest.err
    assert "choose one with --group: a, b" in render.err


# --- documents -------------------------------------------------------------------------------------------------------


def test_sound_documents_are_valid(tmp_path: Path) -> None:
    typed = reconcile("validate", "-f", str(documents(tmp_path, a=GOOD.format(name="a"), b=GOOD.format(name="b"))))

    assert typed.code == 0
    assert typed.out == (
        f"{tmp_path}/a.yaml: a: valid (3 servers; pools: none)\n"
        f"{tmp_path}/b.yaml: b: valid (3 servers; pools: none)\n"
        "2 documents are valid, with 4 warnings\n"
    )
    assert len(typed.err.splitlines()) == 4
    assert all(line.startswith(f"warning: {tmp_path}/") for line in typed.err.splitlines())


@pytest.mark.parametrize("typed", [["validate"], ["plan", "--sandbox"], ["--once", "--sandbox"], ["render", "servers"]])
def test_any_bad_document_stops_everything_with_each_problem_on_a_line(typed: list[str], tmp_path: Path) -> None:
    bad = GOOD.format(name="bad").replace("count: 3", "count: 4").replace("region: us-east-1\n", "regoin: us-east-1\n")
    folder = documents(tmp_path, bad=bad, good=GOOD.format(name="good"))

    ended = reconcile(*typed, "-f", str(folder), "--group", "good")

    problems = [line for line in ended.err.splitlines() if line.startswith(f"{folder}/bad.yaml:")]
    assert (ended.code, ended.out) == (65, "")
    assert len(problems) >= 2
    assert 'did you mean "region"?' in ended.err
    assert ended.err.endswith(f"{len(problems)} problems; nothing was touched\n")


def test_a_bad_document_leaves_no_state_file(tmp_path: Path) -> None:
    folder = documents(tmp_path, bad=GOOD.format(name="bad").replace("count: 3", "count: 4"))

    assert reconcile("--once", "--sandbox", "--state", str(tmp_path / "world"), "-f", str(folder)).code == 65
    assert not (tmp_path / "world").exists()


def test_validate_gives_problems_as_data(tmp_path: Path) -> None:
    folder = documents(tmp_path, bad=GOOD.format(name="bad").replace("count: 3", "count: 4"))

    typed = reconcile_here("validate", "-f", str(folder), "-o", "json")
    found = json.loads(typed.out)

    assert typed.code == 65
    assert list(found) == ["valid", "documents", "problems", "warnings"]
    assert found["valid"] is False
    assert set(found["problems"][0]) == {"file", "line", "column", "path", "message", "hint"}
    assert (found["problems"][0]["path"], found["problems"][0]["line"]) == ("spec.servers.count", 13)


def test_schema_is_the_committed_one() -> None:
    shown = reconcile("schema")

    assert shown.code == 0
    assert json.loads(shown.out) == json.loads((ROOT / "schemas/clustergroup.v1alpha1.json").read_text("utf-8"))


def test_render_prints_what_a_machine_boots_from() -> None:
    text = reconcile("render", "general", "-f", "specs/demo.yaml")
    whole = reconcile("render", "general", "-f", "specs/demo.yaml", "-o", "json")

    assert (text.code, whole.code) == (0, 0)
    assert text.out.startswith("#cloud-config\n")
    assert text.out.strip() == json.loads(whole.out)["template"]["userData"].strip()
    assert json.loads(whole.out)["revision"].startswith("v1-")


# --- completion ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("reconcile ", ["validate", "plan", "status", "explain", "schema", "render", "iam", "simulate", "sandbox"]),
        ("reconcile st", ["status"]),
        ("reconcile plan --group ", ["demo"]),
        ("reconcile render g", ["general", "gpu"]),
        ("reconcile explain ", ["job", "node", "server"]),
        ("reconcile plan --det", ["--detailed-exitcode"]),
    ],
)
def test_the_shell_completes_commands_groups_and_pools(words: str, offered: list[str]) -> None:
    env = {"_RECONCILE_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    typed = reconcile(env=env)

    assert [line.removeprefix("plain,") for line in typed.out.splitlines()] == offered
