"""What EC2's error codes mean for us: a no, no answer, or an outcome that nobody knows (source: aws.md §6).

The sandbox's door reads the same table: a fault is classified in one way, whoever raised it.
"""

from __future__ import annotations

from typing import Final

from schemas.faults import Fault, OutcomeUnknownError, Refusal, RefusedError, Source, UnansweredError

_MEANING: Final = {
    "InsufficientInstanceCapacity": Refusal.CAPACITY,
    "InsufficientHostCapacity": Refusal.CAPACITY,
    "InsufficientCapacity": Refusal.CAPACITY,
    "InsufficientFreeAddressesInSubnet": Refusal.CAPACITY,
    "ReservationCapacityExceeded": Refusal.CAPACITY,
    "SpotMaxPriceTooLow": Refusal.CAPACITY,
    "VcpuLimitExceeded": Refusal.QUOTA,
    "InstanceLimitExceeded": Refusal.QUOTA,
    "MaxSpotInstanceCountExceeded": Refusal.QUOTA,
    "MaxFleetCountExceeded": Refusal.QUOTA,
    "ResourceCountExceeded": Refusal.QUOTA,
    "VolumeLimitExceeded": Refusal.QUOTA,
    "AddressLimitExceeded": Refusal.QUOTA,
    "NetworkInterfaceLimitExceeded": Refusal.QUOTA,
    "UnfulfillableCapacity": Refusal.UNTRIED,
    "Unsupported": Refusal.IMPOSSIBLE,
    "InvalidFleetConfiguration": Refusal.IMPOSSIBLE,
    "IdempotentParameterMismatch": Refusal.MISMATCH,
    "IdempotentInstanceTerminated": Refusal.SPENT,
    "InvalidLaunchTemplateName.AlreadyExistsException": Refusal.EXISTS,
    "InvalidLaunchTemplateName.NotFoundException": Refusal.INVALID,
    "InvalidLaunchTemplateId.NotFound": Refusal.INVALID,
    "InvalidLaunchTemplateId.VersionNotFound": Refusal.INVALID,
    "InvalidInstanceID.NotFound": Refusal.INVALID,
    "InvalidInstanceID.Malformed": Refusal.INVALID,
    "UnsupportedOperation": Refusal.INVALID,
    "InvalidAllocationID.NotFound": Refusal.INVALID,
    "OperationNotPermitted": Refusal.PROTECTED,
    "Resource.AlreadyAssociated": Refusal.CONFLICT,
    "ConcurrentTagAccess": Refusal.CONFLICT,
    "IncorrectInstanceState": Refusal.CONFLICT,
    "IncorrectState": Refusal.CONFLICT,
    "IncorrectSpotRequestState": Refusal.CONFLICT,
}
"""Any other code that is a no (image, subnet, group, profile, rights …) is a fault of document or account."""

_OVERLOAD: Final = frozenset({"RequestLimitExceeded", "EC2ThrottledException", "BandwidthLimitExceeded"})
_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure.ExpiredToken",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidClientTokenId",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Clock or credentials: whoever comes with good ones may be answered, and nothing happened meanwhile."""
_BROKEN: Final = frozenset({"InternalError", "InternalFailure", "Unavailable", "ServiceUnavailable", "RequestTimeout"})


def refusal_of(code: str) -> Refusal:
    """Tell what a code that is EC2's no means.

    Inside a fleet's answer it is about one offering; that EC2 was busy or broken then says nothing about it.
    """
    if _is_overload(code) or code in _BROKEN:
        return Refusal.UNTRIED
    return _MEANING.get(code, Refusal.SPECIFICATION)


def fault_of(code: str, message: str, status: int, *, what: str, writes: bool, source: Source = Source.EC2) -> Fault:
    """Translate an error answer to ``what``, of HTTP ``status``; decided by the code, by the status when it is unknown.

    A read that got any error learnt nothing. A write that met a server error may have happened.
    """
    told = f"{code}: {message}" if message else code
    if not writes or _is_overload(code) or code in _CREDENTIALS:
        return UnansweredError(source, what, told)
    if code not in _MEANING and (status >= 500 or code in _BROKEN):
        return OutcomeUnknownError(source, what, told)
    return RefusedError(source, what, told, why=refusal_of(code), code=code)


def _is_overload(code: str) -> bool:
    return code in _OVERLOAD or code.startswith("Throttl")
