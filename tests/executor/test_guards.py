"""The last refusals: the plan was right when it was made, and the world has moved since."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.errors import GuardError
from reconciler.guards import guard_forming, guard_giving_up, guard_launch, guard_marker
from reconciler.machine import marker_template, server_template
from schemas.names import formed_marker
from schemas.plan import FormServer, GiveUpForming, Launch, MarkFormed, Reason, ServerRequest
from schemas.world import Instance, Market, Override, ServerView
from support.builders import GROUP, a_claim, a_group, a_pool, a_server, a_snapshot, a_view, an_instance

PROD = a_group(pools=[a_pool(size={"min": 0, "max": 4})], limits={"maxNodes": 6})
LAUNCH = Launch(
    claim="general-8",
    pool="general",
    market=Market.ON_DEMAND,
    count=2,
    overrides=(Override(instance_type="m6i.large", subnet_id="subnet-a1", zone="us-east-1a", price=0.096),),
    template="t",
    contents=(),
    cause=Reason.DEMAND,
    reason="",
)
FORM = FormServer(
    group=GROUP,
    slot=0,
    life=0,
    attempt=0,
    template=server_template(PROD, "x86_64"),
    requests=(ServerRequest(instance_type="t3.small", subnet_id="subnet-a1", zone="us-east-1a"),),
    reason="",
    price=0.02,
)
MARK = MarkFormed(marker=marker_template(PROD), count=3, attempts=(), reason="")
SERVERS = tuple(a_server(slot) for slot in range(3))
ADDRESSES = tuple(server.private_ip for server in SERVERS)


def test_a_launch_that_still_fits_passes() -> None:
    guard_launch(LAUNCH, a_snapshot(ordinals={"general": 7}), PROD)


@pytest.mark.parametrize("used", [8, 9])
def test_a_claim_that_was_used_is_never_used_again(used: int) -> None:
    with pytest.raises(GuardError, match="general-8 was used before"):
        guard_launch(LAUNCH, a_snapshot(ordinals={"general": used}), PROD)


def test_machines_that_came_since_the_plan_was_made_count_towards_the_pool() -> None:
    with pytest.raises(GuardError, match=r"3 \+ 2 machines pass size\.max 4"):
        guard_launch(LAUNCH, a_snapshot(instances=tuple(an_instance(n) for n in range(1, 4))), PROD)


def test_a_launch_begun_since_the_plan_was_made_counts_too() -> None:
    with pytest.raises(GuardError, match=r"3 \+ 2 machines pass size\.max 4"):
        guard_launch(LAUNCH, a_snapshot(claims=(a_claim(7, count=3),)), PROD)


def test_machines_of_other_pools_count_towards_the_node_limit() -> None:
    tags = {**an_instance().tags, "nomad-reconciler:pool": "batch"}
    others = tuple(an_instance(n, tags=tags) for n in range(1, 6))
    with pytest.raises(GuardError, match=r"5 \+ 2 machines pass limits\.maxNodes 6"):
        guard_launch(LAUNCH, a_snapshot(instances=others), PROD)


def test_servers_are_formed_where_nothing_was() -> None:
    guard_forming(FORM, frozenset(), SERVERS)


def test_servers_are_not_formed_beside_the_marker() -> None:
    with pytest.raises(GuardError, match="never is again"):
        guard_forming(FORM, frozenset({formed_marker(GROUP)}), ())


def test_servers_are_not_formed_beside_machines_of_a_store() -> None:
    client = an_instance(tags={**an_instance().tags, "nomad-reconciler:store": "store-1"})
    with pytest.raises(GuardError, match="a quorum with a store was here before"):
        guard_forming(FORM, frozenset(), (client,))


def test_the_marker_is_written_when_all_agree() -> None:
    guard_marker(MARK, SERVERS, [a_view(a, ADDRESSES) for a in ADDRESSES])


def test_the_marker_is_not_written_when_one_fell_silent_since() -> None:
    views = [a_view(a, ADDRESSES) for a in ADDRESSES]
    with pytest.raises(GuardError, match="2 of 3 agents answer"):
        guard_marker(MARK, SERVERS, [*views[:2], replace(views[2], reachable=False)])


@pytest.mark.parametrize("shown", [0, 1, 2])
def test_the_marker_is_not_written_when_a_lagging_look_shows_fewer_machines(shown: int) -> None:
    """Nobody disagrees where nobody is: an empty look must not pass for agreement."""
    with pytest.raises(GuardError, match=f"{shown} servers are shown, not 3"):
        guard_marker(MARK, SERVERS[:shown], [a_view(a, ADDRESSES[:shown]) for a in ADDRESSES[:shown]])


def test_the_marker_counts_a_server_that_an_operator_added_while_they_formed() -> None:
    four = (*SERVERS, a_server(3))
    addresses = tuple(server.private_ip for server in four)
    guard_marker(MARK, four, [a_view(a, addresses) for a in addresses])
    with pytest.raises(GuardError, match="not all of 4"):
        guard_marker(MARK, four, [a_view(a, ADDRESSES) for a in addresses])


GIVE_UP = GiveUpForming(group=GROUP, instance_id="i-server-2-0", address=ADDRESSES[2], reason="")
SILENT = a_view(ADDRESSES[2], (), reachable=False)


def test_a_silent_server_that_the_others_can_do_without_is_given_up() -> None:
    guard_giving_up(GIVE_UP, frozenset(), SERVERS, [*(a_view(a, ()) for a in ADDRESSES[:2]), SILENT], impaired=False)
    guard_giving_up(GIVE_UP, frozenset(), SERVERS, [SILENT], impaired=True)
    outside = a_view(ADDRESSES[2], (), leader="", members=(ADDRESSES[2],))
    together = [a_view(a, (), leader="", members=ADDRESSES[:2]) for a in ADDRESSES[:2]]
    guard_giving_up(GIVE_UP, frozenset(), SERVERS, [*together, outside], impaired=False)


@pytest.mark.parametrize(
    ("templates", "views", "why"),
    [
        (frozenset({formed_marker(GROUP)}), [SILENT], "replaced step by step"),
        (frozenset(), [a_view(ADDRESSES[2], ())], "answers at"),
        (frozenset(), [SILENT], "it may be us"),
        (frozenset(), [a_view(ADDRESSES[0], ADDRESSES), SILENT], "only 1 of them answer without it"),
    ],
)
def test_a_forming_server_that_may_be_needed_is_not_given_up(
    templates: frozenset[str], views: list[ServerView], why: str
) -> None:
    with pytest.raises(GuardError, match=why):
        guard_giving_up(GIVE_UP, templates, SERVERS, views, impaired=False)


@pytest.mark.parametrize("shown", [(), (replace(SERVERS[2], tags={**SERVERS[2].tags, "nomad-reconciler:store": "s"}),)])
def test_what_is_no_forming_server_is_not_given_up(shown: tuple[Instance, ...]) -> None:
    with pytest.raises(GuardError, match="is no server that is being formed"):
        guard_giving_up(GIVE_UP, frozenset(), shown, [SILENT], impaired=True)
