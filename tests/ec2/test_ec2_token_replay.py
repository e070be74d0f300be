"""What EC2 said to the first launch, and what the program did then; the test ids are the table.

Whatever was said: as much is bought as without it, none more under any claim, and all converges.
"""

from __future__ import annotations

from functools import cache

import pytest

from schemas.plan import Result
from support.aws_wire import Says, says_no
from support.ec2_faults import Fault, Play, Strike, play

COPIES = 40

SAME = "the same token again, byte for byte"
NEXT = "the next claim at once"
FOUND = "finds its machines by their tag"
LOOKED = "looks for its machines five minutes by their tag, then the next claim"

TABLE: tuple[tuple[str, Fault | Says, str], ...] = (
    ("reply lost, machines launched", Fault.LOST, SAME),
    ("request 20 s late, reply lost", Fault.LATE, SAME),
    ("reply garbage, machines launched", Fault.GARBAGE, SAME),
    ("reply cut off, machines launched", Fault.CUT, SAME),
    ("InternalError", Fault.BROKEN, SAME),
    ("RequestLimitExceeded", Fault.THROTTLED, SAME),
    ("Unavailable", says_no("Unavailable", 503), SAME),
    ("ExpiredToken", says_no("ExpiredToken", 400), SAME),
    ("an unknown code with 500", says_no("NeverHeardOf", 500), SAME),
    ("an unknown code with 400", says_no("NeverHeardOf", 400), NEXT),
    ("InsufficientInstanceCapacity", says_no("InsufficientInstanceCapacity", 500), NEXT),
    ("VcpuLimitExceeded", says_no("VcpuLimitExceeded"), NEXT),
    ("UnauthorizedOperation", says_no("UnauthorizedOperation", 403), NEXT),
    ("InvalidLaunchTemplateName.NotFoundException", says_no("InvalidLaunchTemplateName.NotFoundException"), NEXT),
)
"""The first answer; asked again, EC2 does as asked."""

FOR_EVER: tuple[tuple[str, Fault | Says, str, str], ...] = (
    ("IdempotentParameterMismatch", says_no("IdempotentParameterMismatch"), "IdempotentParameterMismatch", LOOKED),
    ("IdempotentInstanceTerminated", says_no("IdempotentInstanceTerminated"), "IdempotentInstanceTerminated", LOOKED),
    ("reply lost, then IdempotentParameterMismatch", Fault.LOST, "IdempotentParameterMismatch", FOUND),
)
"""The first answer, and what EC2 says to that token from then on."""


@cache
def undisturbed() -> Play:
    return play(copies=COPIES)


def did(after: Play) -> str:
    """Tell what came of the first claim: by the tokens that EC2 was sent, and by what was written down."""
    (token, claim, _), *later = after.fleets
    outcomes = [o for tick in after.ticks for o in tick.outcomes if o.action.key == f"launch/{claim}"]
    took = (outcomes[-1].at - outcomes[0].at).total_seconds()
    assert all(c == claim for t, c, _ in later if t == token)
    if outcomes[-1].result is Result.REFUSED:
        assert took == 0 or 300 <= took < 330
        return LOOKED if took else NEXT
    return FOUND if outcomes[-1].message else SAME


ROWS = [(n, said, None, d) for n, said, d in TABLE] + [(n, s, says_no(c), d) for n, s, c, d in FOR_EVER]


@pytest.mark.parametrize(("said", "then", "does"), [row[1:] for row in ROWS], ids=[f"{r[0]} -> {r[3]}" for r in ROWS])
def test_a_token_means_one_request_whatever_ec2_said(said: Fault | Says, then: Says | None, does: str) -> None:
    after, before = play(Strike("CreateFleet", 0, said, then), copies=COPIES), undisturbed()

    assert did(after) == does
    assert after.converged
    assert after.price == before.price, "as much as without it"
    asked = {claim: count for _, claim, count in after.fleets}
    assert all(after.launched[claim] <= asked[claim] for claim in after.launched), "none more under any claim"
