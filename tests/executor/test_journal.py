"""What was begun is there after a crash; nobody writes over what somebody else wrote."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import anyio
import pytest

from providers.sandbox.faults import Faults, Kind, Strike, faulty
from providers.stores.nomad_variables import MOST_BYTES
from providers.stores.sqlite import SqliteStore
from reconciler.errors import JournalBrokenError
from reconciler.journal import Journal, Ledger, begun, finished
from schemas.faults import RefusedError, Source, UnansweredError
from schemas.plan import Launch, Reason
from schemas.world import Content, Market, Override, Refused
from support.builders import NOON, a_claim

OVERRIDE = Override(instance_type="m6i.large", subnet_id="subnet-a1", zone="us-east-1a", price=0.096)
LAUNCH = Launch(
    claim="general-7",
    pool="general",
    market=Market.SPOT,
    count=3,
    overrides=(OVERRIDE,),
    template="t-1",
    contents=(Content(job="web", group="app", copies=2),),
    cause=Reason.DEMAND,
    reason="2 copies of web wait",
)
EMPTY = Ledger(store_id="store-1")
PATH = "nomad-reconciler/prod/journal"


class _Never:
    async def sleep(self, seconds: float) -> None:
        raise AssertionError(seconds)


def test_an_intent_reads_back_exactly_as_it_was_begun() -> None:
    async def work() -> None:
        store = SqliteStore()
        written = begun(EMPTY, LAUNCH, NOON)
        await Journal(store, "prod").write(written)
        assert await Journal(store, "prod").read() == written

    anyio.run(work)


def test_a_begun_launch_is_a_claim_of_unknown_outcome_and_its_ordinal_is_used_for_ever() -> None:
    ledger = begun(EMPTY, LAUNCH, NOON)

    assert [(c.name, c.count, c.answered) for c in ledger.claims] == [("general-7", 3, False)]
    assert ledger.ordinals == {"general": 7}
    assert finished(ledger, LAUNCH, (), (), NOON).ordinals == {"general": 7}, "also when it gave nothing"


def test_a_launch_that_gave_some_machines_is_a_claim_of_just_those() -> None:
    ledger = finished(begun(EMPTY, LAUNCH, NOON), LAUNCH, ("i-1", "i-2"), (), NOON)

    assert ledger.intents == ()
    assert [(c.count, c.instance_ids, c.answered) for c in ledger.claims] == [(2, ("i-1", "i-2"), True)]


def test_a_launch_that_gave_nothing_leaves_no_claim() -> None:
    assert finished(begun(EMPTY, LAUNCH, NOON), LAUNCH, (), (), NOON).claims == ()


def test_machines_that_came_in_the_last_minute_count_towards_the_launch_rate() -> None:
    ledger = finished(begun(EMPTY, LAUNCH, NOON), LAUNCH, ("i-1", "i-2"), (), NOON + timedelta(seconds=5))

    assert ledger.launched_since(NOON) == 2
    assert ledger.launched_since(NOON + timedelta(seconds=5)) == 0


def test_an_open_request_counts_towards_the_launch_rate_however_old_it_is() -> None:
    """It may be granted at any moment, together with whatever is asked for now."""
    assert begun(EMPTY, LAUNCH, NOON).launched_since(NOON + timedelta(hours=1)) == 3


def test_two_writers_of_one_journal_are_never_both_right() -> None:
    async def work() -> None:
        store = SqliteStore()
        first, second = Journal(store, "prod"), Journal(store, "prod")
        await first.read()
        await second.read()
        await first.write(EMPTY)
        with pytest.raises(RefusedError):
            await second.write(begun(EMPTY, LAUNCH, NOON))
        assert await first.read() == EMPTY
        assert second.ledger is None, "what it believed is no longer so"

    anyio.run(work)


def test_a_write_whose_reply_is_lost_counts_when_it_is_there() -> None:
    async def work() -> None:
        store = SqliteStore()
        faults = Faults(script=(Strike(call=0, kind=Kind.LOSE_REPLY),))
        journal = Journal(faulty(store, faults, source=Source.STORE, clock=_Never()), "prod")
        await journal.write(EMPTY)
        await journal.write(begun(EMPTY, LAUNCH, NOON))
        assert (await Journal(store, "prod").read()) == begun(EMPTY, LAUNCH, NOON)

    anyio.run(work)


def test_a_write_that_did_not_happen_is_not_believed() -> None:
    async def work() -> None:
        store = SqliteStore()
        faults = Faults(script=(Strike(call=0, kind=Kind.FAIL),))
        journal = Journal(faulty(store, faults, source=Source.STORE, clock=_Never()), "prod")
        with pytest.raises(UnansweredError):
            await journal.write(EMPTY)
        assert journal.ledger is None
        assert await Journal(store, "prod").read() is None

    anyio.run(work)


@pytest.mark.parametrize(
    "items",
    [{}, {"ledger": "{"}, {"ledger": "[]"}, {"ledger": '{"version": 1}'}, {"ledger": '{"version": 2}'}],
)
def test_a_record_that_cannot_be_read_stops_everything_and_is_left_alone(items: dict[str, str]) -> None:
    async def work() -> None:
        store = SqliteStore()
        await store.write("nomad-reconciler/prod/journal", items, index=0)
        with pytest.raises(JournalBrokenError, match="nomad-reconciler/prod/journal"):
            await Journal(store, "prod").read()
        record = await store.read("nomad-reconciler/prod/journal")
        assert record is not None
        assert record.items == items

    anyio.run(work)


def a_bad_day() -> Ledger:
    """A thousand offerings out, forty large launches that EC2 never answered, five hundred machines coming."""
    offers = tuple(
        replace(OVERRIDE, instance_type=f"m{n}i.{n % 7}xlarge", zone=f"us-east-1{'abc'[n % 3]}", price=0.096 + n / 1000)
        for n in range(60)
    )
    ledger = EMPTY
    for n in range(40):
        ledger = begun(ledger, replace(LAUNCH, claim=f"general-{n}", count=12, overrides=offers), NOON)
    out = tuple(
        Refused(
            instance_type=f"m{n}i.large",
            zone="us-east-1a",
            market=Market.SPOT,
            why="capacity",
            until=NOON + timedelta(seconds=n),
        )
        for n in range(1000)
    )
    coming = tuple(
        a_claim(n + 100, answered=True, count=5, instance_ids=tuple(f"i-{(n * 5 + k) * 7919:017x}" for k in range(5)))
        for n in range(100)
    )
    return replace(ledger, refused=out, claims=(*ledger.claims, *coming))


def test_the_record_of_a_bad_day_fits_into_a_nomad_variable_and_reads_back_whole() -> None:
    async def work() -> None:
        store = SqliteStore()
        await Journal(store, "prod").write(a_bad_day())
        record = await store.read(PATH)
        assert record is not None
        assert sum(len(k) + len(v) for k, v in record.items.items()) < MOST_BYTES / 2
        assert await Journal(store, "prod").read() == a_bad_day()

    anyio.run(work)


def test_a_small_record_can_be_read_by_eye() -> None:
    async def work() -> None:
        store = SqliteStore()
        await Journal(store, "prod").write(begun(EMPTY, LAUNCH, NOON))
        record = await store.read(PATH)
        assert record is not None
        assert '"claim":"general-7"' in record.items["ledger"]

    anyio.run(work)


@pytest.mark.parametrize("packed", ["", "not packed", "c%1E0000000000000"])
def test_a_packed_record_that_cannot_be_unpacked_is_broken_and_not_empty(packed: str) -> None:
    async def work() -> None:
        store = SqliteStore()
        await store.write(PATH, {"packed": packed}, index=0)
        with pytest.raises(JournalBrokenError):
            await Journal(store, "prod").read()

    anyio.run(work)
