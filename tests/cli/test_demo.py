"""The main job as a user types it: the demo converges, says what it did, and its world can be looked at afterwards."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from support.demo_run import DOCUMENT, Demo, world
from support.typed import ROOT, Typed, reconcile

pytestmark = pytest.mark.xdist_group("demo")  # one worker, one run

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"
GROUP_KEYS = {
    "name",
    "mode",
    "observedAt",
    "converged",
    "conditions",
    "servers",
    "pools",
    "nodes",
    "actions",
    "machines",
    "holds",
    "digest",
    "cost",
    "prices",
    "predictions",
    "warnings",
}
ACT_KEYS = {
    "kind",
    "key",
    "subject",
    "cause",
    "what",
    "reason",
    "price",
    "claim",
    "pool",
    "market",
    "count",
    "offerings",
    "contents",
}
COST_KEYS = {"hourly", "servers", "clients", "limit", "planned", "least", "bound", "gap"}
UNSERVED = ("job/route-planner-all-europe", "job/weather-model")


def group_of(typed: Typed) -> dict[str, Any]:
    """The one group of a JSON answer."""
    (group,) = json.loads(typed.out)["groups"]
    found: dict[str, Any] = group
    return found


# --- the run ---------------------------------------------------------------------------------------------------------


def test_the_demo_converges(demo: Demo) -> None:
    assert demo.typed.code == 0
    assert demo.typed.out.startswith("demo: converged; ")
    for part in ("Servers", "Nodes of pool general", "Launched", "Held back", "Conditions", "Cost", "Bought"):
        assert re.search(f"^{part}  ", demo.typed.out, re.MULTILINE), f"{part} is missing"


def test_every_launch_says_for_which_work_at_what_price_and_why(demo: Demo) -> None:
    launched = demo.typed.out.partition("\nLaunched")[2].partition("\n\n")[0].splitlines()[2:]

    assert len(launched) > 6
    assert all(
        re.search(r"(Forming|Demand|Headroom|Minimum) +\d+ \S+ in us-east-1[abc].* \d\.\d{4}  \S", line)
        for line in launched
    )


def test_what_nobody_can_serve_is_named_with_its_blocker(demo: Demo) -> None:
    held = demo.typed.out.partition("\nHeld back")[2].partition("\n\n")[0]

    for subject in UNSERVED:
        assert re.search(rf"^  {subject}  Unsatisfiable  \d of .* cannot be placed: ", held, re.MULTILINE)


def test_progress_is_told_on_standard_error_in_virtual_time(demo: Demo) -> None:
    lines = [line for line in demo.typed.err.splitlines() if not line.startswith("warning: ")]

    assert all(re.match(r"\d\d:\d\d:\d\d  [-+=.!] \S", line) for line in lines)
    assert lines == sorted(lines, key=lambda line: line[:8])
    assert sum("launch server" in line for line in lines) == 3
    assert lines[-1].endswith("  = converged")


def test_a_pipe_gets_no_escape_sequence_and_a_row_is_a_line(demo: Demo) -> None:
    for text in (demo.typed.out, demo.typed.err):
        assert "\x1b" not in text
        assert not any(line.endswith(" ") for line in text.splitlines())


def test_the_same_command_gives_the_same_output(demo: Demo, tmp_path: Path) -> None:
    again = reconcile("--once", "--wait", "10m", *world(tmp_path / "again.db"))

    assert again.out == demo.typed.out
    assert again.err == demo.typed.err


# --- afterwards ------------------------------------------------------------------------------------------------------


def test_a_second_pass_goes_on_where_the_first_ended_and_finds_nothing_to_do(demo: Demo, tmp_path: Path) -> None:
    state = demo.copy(tmp_path)
    before = group_of(reconcile("status", "-o", "json", *world(state)))

    second = reconcile("--once", "-o", "json", *world(state))
    group = group_of(second)

    assert second.code == 0
    assert (group["actions"], group["pending"], group["ticks"], group["converged"]) == ([], [], 1, True)
    assert [s["instance"] for s in group["servers"]] == [s["instance"] for s in before["servers"]]
    assert group["observedAt"] >= before["observedAt"]


def test_commands_that_look_leave_the_world_as_it_is(demo: Demo) -> None:
    before = hashlib.sha256(demo.state.read_bytes()).digest()
    for command in (["plan"], ["status"], ["explain", "ingress"]):
        assert reconcile(*command, *demo.world).code == 0

    assert hashlib.sha256(demo.state.read_bytes()).digest() == before
    assert [p.name for p in demo.state.parent.iterdir()] == [demo.state.name]


def test_a_converged_world_has_no_changes_pending(demo: Demo) -> None:
    planned = reconcile("plan", "--detailed-exitcode", *demo.world)

    assert planned.code == 0
    assert planned.out.startswith("demo: nothing is to be done\n")
    for subject in UNSERVED:
        assert f"\n  {subject}  Unsatisfiable  " in planned.out


def test_status_is_stable_data(demo: Demo) -> None:
    group = group_of(reconcile("status", "-o", "json", *demo.world))

    assert set(group) == GROUP_KEYS
    assert set(group["cost"]) == COST_KEYS
    assert set(group["holds"][0]) == {"subject", "reason", "message", "passing"}
    assert {p["name"] for p in group["pools"]} == {"general", "gpu", "batch"}
    assert all(c["message"] for c in group["conditions"])
    assert {c["type"]: c["status"] for c in group["conditions"]} == {
        "Ready": "True",
        "QuorumSafe": "True",
        "DemandSatisfied": "False",
        "HeadroomSatisfied": "True",
        "Unsatisfiable": "True",
        "FallbackActive": "False",
        "AtMaximum": "False",
        "WrongCluster": "False",
        "SourceUnanswered": "False",
        "DocumentInvalid": "False",
    }


def test_the_cost_is_the_sum_of_the_machines(demo: Demo) -> None:
    group = group_of(reconcile("status", "-o", "json", *demo.world))
    machines = [*group["servers"], *group["nodes"]]

    assert group["cost"]["hourly"] == pytest.approx(sum(m["price"] for m in machines), abs=1e-4)
    assert sum(p["machines"] for p in group["pools"]) == len(group["nodes"])


def test_yaml_says_what_json_says(demo: Demo) -> None:
    as_json = json.loads(reconcile("status", "-o", "json", *demo.world).out)
    as_yaml = YAML(typ="safe", pure=True).load(StringIO(reconcile("status", "-o", "yaml", *demo.world).out))

    assert json.loads(json.dumps(as_yaml, default=str)) == as_json


def test_a_job_that_waits_is_explained_by_what_each_pool_lacks(demo: Demo) -> None:
    explained = reconcile("explain", "job", "route-planner-all-europe", *demo.world)

    assert explained.code == 0
    assert "1 copy waits for room, 0 have it; no pool can serve all of them" in explained.out
    assert re.search(r"pool general +cannot serve it: memory: needs 4,000,000 MiB, [\d,]+ free", explained.out)
    assert re.search(r"pool gpu +cannot serve it: it is for node pool default, not gpu", explained.out)


def test_nodes_and_servers_are_found_without_saying_what_they_are(demo: Demo) -> None:
    group = group_of(reconcile("status", "-o", "json", *demo.world))
    node, server = group["nodes"][0], group["servers"][0]

    by_instance = reconcile("explain", node["name"], *demo.world)
    by_start_of_id = reconcile("explain", "node", node["node"][:8], *demo.world)
    of_server = reconcile("explain", server["instance"], "-o", "json", *demo.world)

    assert by_instance.out.startswith(f"node {node['name']} of demo: it stays")
    assert by_start_of_id.out == by_instance.out
    (found,) = json.loads(of_server.out)["explained"]
    assert (found["kind"], found["server"]["instance"]) == ("server", server["instance"])


def test_an_unknown_name_ends_with_1_and_a_guess(demo: Demo) -> None:
    explained = reconcile("explain", "job", "wether-model", *demo.world)

    assert (explained.code, explained.out) == (1, "")
    assert "Did you mean weather-model?" in explained.err


# --- the start -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["plan", "status"])
def test_the_empty_world_looks_like_this(command: str, golden: Callable[[Path, str], None]) -> None:
    shown = reconcile(command, "-f", DOCUMENT, "--sandbox")

    assert shown.code == 0
    text = re.sub(
        r"Digest  [0-9a-f]{16}", "Digest  0123456789abcdef", shown.out
    )  # user data changes more often than this
    golden(GOLDEN / f"{command}-at-the-start.txt", text)


def test_the_first_plan_is_stable_data_and_ends_with_2_when_asked() -> None:
    planned = reconcile("plan", "--detailed-exitcode", "-o", "json", "-f", DOCUMENT, "--sandbox")
    group = group_of(planned)

    assert planned.code == 2
    assert set(group) == GROUP_KEYS
    assert [set(a) for a in group["actions"]] == [ACT_KEYS] * 3
    assert group["cost"]["planned"] == pytest.approx(3 * 0.0208)
    assert group["converged"] is False


def test_one_pass_does_what_the_digest_names_and_refuses_another(tmp_path: Path) -> None:
    options = world(tmp_path / "w.db")
    digest = group_of(reconcile("plan", "-o", "json", *options))["digest"]
    assert not (tmp_path / "w.db").exists(), "a command that looks makes no file"

    other = reconcile("--once", "--digest", "0123456789abcdef", *options)
    same = reconcile("--once", "--digest", digest, "-o", "json", *options)
    late = reconcile("--once", "--digest", digest, *options)

    assert other.code == 1
    assert f"its digest is {digest} now, not 0123456789abcdef; nothing was done" in other.err
    assert same.code == 0
    done = group_of(same)
    assert [(a["kind"], a["result"]) for a in done["actions"]] == [("FormServer", "done")] * 3
    assert set(done) == GROUP_KEYS | {"pending", "ticks", "seconds", "waitedOut"}
    assert set(done["actions"][0]) == ACT_KEYS | {"result", "at", "message", "instances", "got", "refused"}
    assert set(done["cost"]) == COST_KEYS | {"bought", "plans"}
    assert late.code == 1


def test_a_wait_that_runs_out_ends_with_1_and_the_next_run_goes_on(tmp_path: Path) -> None:
    options = world(tmp_path / "w.db")

    short = reconcile("--once", "--wait", "15s", *options)
    rest = reconcile("--once", "--wait", "10m", "-o", "json", *options)

    assert short.code == 1
    assert short.out.startswith("demo: not converged when --wait ran out; ")
    assert rest.code == 0
    assert not [a for a in group_of(rest)["actions"] if a["kind"] == "FormServer"], "servers were asked for twice"


@pytest.mark.parametrize(("mode", "planned"), [("observe", 3), ("paused", 0)])
def test_a_group_that_is_not_enforced_is_looked_at_once_and_left_alone(mode: str, planned: int, tmp_path: Path) -> None:
    text = (ROOT / DOCUMENT).read_text("utf-8").replace("spec:\n", f"spec:\n  mode: {mode}\n", 1)
    (tmp_path / "group.yaml").write_text(text, encoding="utf-8")

    ended = reconcile("--once", "--wait", "10m", "-o", "json", "-f", str(tmp_path / "group.yaml"), "--sandbox")
    group = group_of(ended)

    assert (ended.code, group["ticks"], group["converged"], group["waitedOut"]) == (0, 1, False, False)
    assert (group["actions"], group["servers"], len(group["pending"])) == ([], [], planned)
