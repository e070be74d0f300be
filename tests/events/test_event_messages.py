"""What is read from the interruption queue, and what is dropped, each for its reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.events.messages import LATE, REMEMBERED, Drop, MalformedError, Sieve, parse
from schemas.events import Event, Kind
from support.builders import NOON

INSTANCE = "i-0b662ef9931388ba0"
AT = NOON.strftime("%Y-%m-%dT%H:%M:%SZ")


def a_message(kind: str = "EC2 Spot Instance Interruption Warning", **more: Any) -> dict[str, Any]:
    """A message as EventBridge sends it (facts aws §4.2)."""
    message = {
        "version": "0",
        "id": "1e5527d7-bb36-4607-3370-4164db56a40e",
        "detail-type": kind,
        "source": "aws.ec2",
        "account": "123456789012",
        "time": AT,
        "region": "us-east-1",
        "resources": [f"arn:aws:ec2:us-east-1b:instance/{INSTANCE}"],
        "detail": {"instance-id": INSTANCE, "instance-action": "terminate"},
    }
    return {**message, **more}


HEALTH = a_message(
    "AWS Health Event",
    source="aws.health",
    detail={
        "eventArn": "arn:aws:health:us-east-1::event/EC2/x",
        "service": "EC2",
        "eventTypeCode": "AWS_EC2_PERSISTENT_INSTANCE_RETIREMENT_SCHEDULED",
        "eventTypeCategory": "scheduledChange",
        "startTime": "Sat, 05 Jun 2026 15:10:09 GMT",
        "affectedEntities": [{"entityValue": "i-1", "tags": {}}, {"entityValue": "i-2"}],
    },
)


def read(message: dict[str, Any]) -> Event | None:
    return parse(json.dumps(message))


@pytest.mark.parametrize(
    ("kind", "known"),
    [
        ("EC2 Spot Instance Interruption Warning", Kind.NOTICE),
        ("EC2 Capacity Reservation Instance Interruption Warning", Kind.RESERVATION),
        ("EC2 Instance Rebalance Recommendation", Kind.REBALANCE),
    ],
)
def test_a_warning_names_its_machine_and_when_it_was_given(kind: str, known: Kind) -> None:
    event = read(a_message(kind))

    assert event is not None
    assert (event.kind, event.instance_ids, event.at) == (known, (INSTANCE,), NOON)


def test_a_change_of_state_says_which() -> None:
    detail = {"instance-id": INSTANCE, "state": "shutting-down"}
    event = read(a_message("EC2 Instance State-change Notification", detail=detail))

    assert event is not None
    assert (event.kind, event.state) == (Kind.STATE, "shutting-down")


def test_a_scheduled_change_names_all_its_machines_and_its_date() -> None:
    event = read(HEALTH)

    assert event is not None
    assert (event.kind, event.instance_ids) == (Kind.SCHEDULED, ("i-1", "i-2"))
    assert event.due == datetime(2026, 6, 5, 15, 10, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "message",
    [
        a_message("EC2 Fleet Instance Change"),
        a_message(source="aws.autoscaling"),
        {**HEALTH, "detail": {**HEALTH["detail"], "service": "RDS"}},
        {**HEALTH, "detail": {**HEALTH["detail"], "eventTypeCategory": "accountNotification"}},
    ],
)
def test_a_message_of_another_kind_is_nothing_to_us(message: dict[str, Any]) -> None:
    assert read(message) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no json",
        "[]",
        "{}",
        "null",
        json.dumps(a_message(id="")),
        json.dumps(a_message(id=7)),
        json.dumps(a_message(time="yesterday")),
        json.dumps(a_message(detail=None)),
        json.dumps(a_message(detail={})),
        json.dumps(a_message(detail={"instance-id": 7})),
        json.dumps(a_message(detail={"instance-id": "vol-1"})),
        json.dumps(a_message("EC2 Instance State-change Notification")),
        json.dumps({**HEALTH, "detail": {**HEALTH["detail"], "affectedEntities": []}}),
        json.dumps({**HEALTH, "detail": {**HEALTH["detail"], "affectedEntities": "i-1"}}),
        json.dumps({**HEALTH, "detail": {**HEALTH["detail"], "startTime": "soon"}}),
    ],
)
def test_a_message_that_makes_no_sense_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        parse(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([a_message(), HEALTH]), st.sampled_from(list(a_message())), JSON)
def test_whatever_a_part_of_a_message_is_it_is_read_or_malformed(
    message: dict[str, Any], part: str, value: object
) -> None:
    try:
        event = read({**message, part: value})
    except MalformedError:
        return
    assert event is None or event.instance_ids


# --- the sieve


def ours(instance: str) -> bool:
    return instance in {INSTANCE, "i-2"}


def sift(sieve: Sieve, *messages: dict[str, Any], now: datetime = NOON) -> list[Event | Drop]:
    return sieve.sift([json.dumps(message) for message in messages], now, ours)


def test_an_event_comes_again_until_it_was_dealt_with_and_is_a_duplicate_then() -> None:
    sieve = Sieve()
    first = sift(sieve, a_message())
    again = sift(sieve, a_message())
    assert first == again
    (event,) = first
    assert isinstance(event, Event)
    sieve.keep(event, NOON)

    assert sift(sieve, a_message()) == [Drop.DUPLICATE]


def test_an_event_that_two_targets_delivered_together_is_one() -> None:
    first, second = sift(Sieve(), a_message(), a_message())

    assert isinstance(first, Event)
    assert second is Drop.DUPLICATE


def test_what_was_seen_is_forgotten_after_an_hour() -> None:
    sieve, message = Sieve(), HEALTH  # which is never late
    (event,) = sift(sieve, message)
    assert isinstance(event, Event)
    sieve.keep(event, NOON)

    assert sift(sieve, message, now=NOON + REMEMBERED - timedelta(seconds=1)) == [Drop.DUPLICATE]
    assert isinstance(sift(sieve, message, now=NOON + REMEMBERED)[0], Event)


@pytest.mark.parametrize(("age", "late"), [(LATE, False), (LATE + timedelta(seconds=1), True)])
def test_a_warning_is_late_after_five_minutes(age: timedelta, *, late: bool) -> None:
    (judged,) = sift(Sieve(), a_message(), now=NOON + age)

    assert (judged is Drop.LATE) is late


def test_a_scheduled_change_that_was_announced_days_ago_is_not_late() -> None:
    assert isinstance(sift(Sieve(), HEALTH, now=NOON + timedelta(days=3))[0], Event)


def test_only_machines_of_ours_are_told_of_and_an_event_without_any_is_foreign() -> None:
    health, foreign = sift(Sieve(), HEALTH, a_message(id="other", detail={"instance-id": "i-stranger"}))

    assert isinstance(health, Event)
    assert health.instance_ids == ("i-2",)
    assert foreign is Drop.FOREIGN


def test_one_bad_message_does_not_spoil_the_others() -> None:
    judged = Sieve().sift(["no json", json.dumps(a_message()), json.dumps(a_message("?"))], NOON, ours)

    assert [j if isinstance(j, Drop) else j.kind for j in judged] == [Drop.MALFORMED, Kind.NOTICE, Drop.UNKNOWN]
