"""Node pools of the document exist in Nomad before anything else can use them."""

from __future__ import annotations

from reconciler.reconcilers.node_pools import plan_node_pools
from schemas.faults import Source
from schemas.plan import CreateNodePool, Plan, Reason
from support.builders import a_group, a_pool, a_snapshot

GROUP = a_group(
    pools=[
        a_pool(name="one", nodePool="gpu"),
        a_pool(name="two", nodePool="gpu"),
        a_pool(name="three", nodePool="batch"),
        a_pool(name="four"),
    ]
)


def test_missing_node_pools_are_made_once_each_and_the_built_in_ones_never() -> None:
    plan = plan_node_pools(a_snapshot(node_pools=frozenset()), GROUP)

    assert [a.name for a in plan.actions if isinstance(a, CreateNodePool)] == ["batch", "gpu"]
    assert plan.actions[1].reason == "pool one, two is in node pool gpu, which is missing"


def test_node_pools_that_are_there_stay_as_they_are_whoever_made_them() -> None:
    there = frozenset({"default", "all", "gpu", "batch", "theirs"})

    assert plan_node_pools(a_snapshot(node_pools=there), GROUP) == Plan()


def test_an_unanswered_nomad_has_no_missing_node_pools() -> None:
    plan = plan_node_pools(a_snapshot(unanswered={Source.NOMAD: "timeout"}), GROUP)

    assert plan.actions == ()
    assert [h.reason for h in plan.holds] == [Reason.SOURCE_UNANSWERED]


def test_node_pools_wait_for_the_servers() -> None:
    assert [h.reason for h in plan_node_pools(a_snapshot(formed=False), GROUP).holds] == [Reason.SERVERS_FORMING]
