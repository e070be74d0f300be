"""Any one call to AWS may go wrong: never a machine too many, and the next try heals; and how many calls there are.

A sample: `./task ec2` takes each call of a run in turn, each with every fault.
"""

from __future__ import annotations

from typing import Any

import pytest

from support.ec2_faults import Fault, Strike, play
from support.ec2_table import COPIES, calls, wrong

LATER_WRITES = (("CreateLaunchTemplate", 0), ("CreateFleet", 2))  # the first fleet is in test_ec2_token_replay
ONE_OF_A_KIND = ("DescribeInstances", "DescribeLaunchTemplates", "DescribeInstanceTypeOfferings", "GetProducts")


@pytest.mark.parametrize("fault", [Fault.LATE, Fault.GARBAGE, Fault.BROKEN])
@pytest.mark.parametrize(("operation", "nth"), LATER_WRITES)
def test_a_write_that_goes_wrong_is_made_good_without_a_machine_too_many(
    operation: str, nth: int, fault: Fault
) -> None:
    assert wrong(play(Strike(operation, nth, fault), copies=COPIES)) == []


@pytest.mark.parametrize("operation", ONE_OF_A_KIND)
def test_a_read_that_gives_garbage_is_no_answer_and_is_asked_again(operation: str) -> None:
    assert wrong(play(Strike(operation, 0, Fault.GARBAGE), copies=COPIES)) == []


def test_a_launch_of_fifty_machines_is_one_request_a_zone_and_rest_is_two_calls_a_tick() -> None:
    one, fifty = calls(1), calls(50)

    assert one["writes"] == {"CreateLaunchTemplate": 1, "CreateFleet": 1}
    assert fifty["writes"] == {"CreateLaunchTemplate": 1, "CreateFleet": 3}
    for figures in (one, fifty):
        rest: Any = figures["at_rest"]
        minutes, ticks = rest["seconds"] / 60, rest["by_name"]["DescribeInstances"]
        assert rest["by_name"] == {
            "DescribeInstances": ticks,  # each tick
            "DescribeLaunchTemplates": ticks,
            "DescribeInstanceStatus": 3 * minutes,
            "DescribeSubnets": pytest.approx(minutes, abs=1),
            "DescribeSpotPriceHistory": 1,
        }
