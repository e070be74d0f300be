"""What EC2's error codes mean for us, as the real provider reads them (source: aws.md §6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError

if TYPE_CHECKING:
    from providers.sandbox.world.ec2.errors import Ec2Error

_MEANING = {
    "InsufficientInstanceCapacity": Refusal.CAPACITY,
    "InsufficientHostCapacity": Refusal.CAPACITY,
    "InsufficientFreeAddressesInSubnet": Refusal.CAPACITY,
    "SpotMaxPriceTooLow": Refusal.CAPACITY,
    "VcpuLimitExceeded": Refusal.QUOTA,
    "InstanceLimitExceeded": Refusal.QUOTA,
    "MaxSpotInstanceCountExceeded": Refusal.QUOTA,
    "UnfulfillableCapacity": Refusal.UNTRIED,
    "Unsupported": Refusal.IMPOSSIBLE,
    "InvalidFleetConfiguration": Refusal.IMPOSSIBLE,
    "IdempotentParameterMismatch": Refusal.MISMATCH,
    "IdempotentInstanceTerminated": Refusal.SPENT,
    "InvalidLaunchTemplateName.AlreadyExistsException": Refusal.EXISTS,
    "InvalidLaunchTemplateName.NotFoundException": Refusal.INVALID,
}
_OVERLOAD = frozenset({"RequestLimitExceeded", "Throttling", "EC2ThrottledException"})


def refusal_of(code: str) -> Refusal:
    """Tell what a code that is EC2's no means; an unknown one is a fault of the specification."""
    return _MEANING.get(code, Refusal.SPECIFICATION)


def fault_of(error: Ec2Error, what: str, *, writes: bool) -> Fault:
    """Translate an EC2 error: a no, no answer, or (for a write that met a server error) an outcome nobody knows."""
    if error.code in _OVERLOAD:
        return UnansweredError(Source.EC2, what, error.message)
    if error.status >= 500 and error.code not in _MEANING:
        unsure = OutcomeUnknownError if writes else UnansweredError
        return unsure(Source.EC2, what, error.message)
    return RefusedError(Source.EC2, what, error.message, why=refusal_of(error.code), code=error.code)
