"""How EC2's errors are told apart: a no, no answer, an outcome that nobody knows."""

from __future__ import annotations

import pytest

from providers.ec2.codes import fault_of, refusal_of
from schemas.faults import OutcomeUnknownError, Refusal, RefusedError, UnansweredError

NOES = {
    "InsufficientInstanceCapacity": Refusal.CAPACITY,  # EC2 sends it with status 500
    "InsufficientHostCapacity": Refusal.CAPACITY,
    "ReservationCapacityExceeded": Refusal.CAPACITY,
    "InsufficientFreeAddressesInSubnet": Refusal.CAPACITY,
    "SpotMaxPriceTooLow": Refusal.CAPACITY,
    "UnfulfillableCapacity": Refusal.UNTRIED,
    "Unsupported": Refusal.IMPOSSIBLE,
    "InvalidFleetConfiguration": Refusal.IMPOSSIBLE,
    "VcpuLimitExceeded": Refusal.QUOTA,
    "InstanceLimitExceeded": Refusal.QUOTA,
    "MaxSpotInstanceCountExceeded": Refusal.QUOTA,
    "MaxFleetCountExceeded": Refusal.QUOTA,
    "ResourceCountExceeded": Refusal.QUOTA,
    "VolumeLimitExceeded": Refusal.QUOTA,
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted": Refusal.SPECIFICATION,
    "InvalidAMIID.NotFound": Refusal.SPECIFICATION,
    "InvalidAMIID.Unavailable": Refusal.SPECIFICATION,
    "InvalidSubnetID.NotFound": Refusal.SPECIFICATION,
    "InvalidGroup.NotFound": Refusal.SPECIFICATION,
    "InvalidParameterValue": Refusal.SPECIFICATION,
    "InvalidParameterCombination": Refusal.SPECIFICATION,
    "InvalidUserData.Malformed": Refusal.SPECIFICATION,
    "UnauthorizedOperation": Refusal.SPECIFICATION,
    "AccessDenied": Refusal.SPECIFICATION,
    "OptInRequired": Refusal.SPECIFICATION,
    "PendingVerification": Refusal.SPECIFICATION,
    "OperationNotPermitted": Refusal.PROTECTED,
    "Resource.AlreadyAssociated": Refusal.CONFLICT,
    "InvalidAllocationID.NotFound": Refusal.INVALID,
    "AuthFailure": Refusal.SPECIFICATION,
    "NeverHeardOf": Refusal.SPECIFICATION,
    "InvalidLaunchTemplateName.NotFoundException": Refusal.INVALID,
    "InvalidLaunchTemplateId.VersionNotFound": Refusal.INVALID,
    "InvalidInstanceID.NotFound": Refusal.INVALID,
    "InvalidLaunchTemplateName.AlreadyExistsException": Refusal.EXISTS,
    "IdempotentParameterMismatch": Refusal.MISMATCH,
    "IdempotentInstanceTerminated": Refusal.SPENT,
    "IncorrectInstanceState": Refusal.CONFLICT,
    "ConcurrentTagAccess": Refusal.CONFLICT,
}


@pytest.mark.parametrize(("code", "why"), NOES.items())
def test_a_no_says_what_it_means_for_us(code: str, why: Refusal) -> None:
    status = 500 if code.startswith("Insufficient") else 400
    fault = fault_of(code, "words", status, what="CreateFleet", writes=True)

    assert isinstance(fault, RefusedError)
    assert (fault.why, fault.code) == (why, code)
    assert code in fault.message


@pytest.mark.parametrize("code", ["RequestLimitExceeded", "Throttling", "ThrottlingException", "EC2ThrottledException"])
@pytest.mark.parametrize("status", [400, 503])
def test_a_throttled_write_did_not_happen(code: str, status: int) -> None:
    assert isinstance(fault_of(code, "", status, what="CreateFleet", writes=True), UnansweredError)


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "SignatureDoesNotMatch", "RequestExpired"])
def test_bad_credentials_or_a_bad_clock_say_nothing_about_the_request(code: str) -> None:
    assert isinstance(fault_of(code, "", 403, what="CreateFleet", writes=True), UnansweredError)


@pytest.mark.parametrize(
    ("code", "status"),
    [("InternalError", 500), ("Unavailable", 503), ("ServiceUnavailable", 503), ("NeverHeardOf", 500), ("503", 503)],
)
def test_a_write_that_met_a_server_error_may_have_happened(code: str, status: int) -> None:
    assert isinstance(fault_of(code, "", status, what="CreateFleet", writes=True), OutcomeUnknownError)


@pytest.mark.parametrize("code", [*NOES, "InternalError", "Throttling", "ExpiredToken"])
def test_a_read_that_got_any_error_is_unanswered(code: str) -> None:
    assert isinstance(fault_of(code, "", 400, what="DescribeInstances", writes=False), UnansweredError)


@pytest.mark.parametrize("code", ["InternalError", "RequestLimitExceeded", "UnfulfillableCapacity"])
def test_an_error_beside_a_fleet_s_machines_that_is_not_about_an_offering_leaves_it_untried(code: str) -> None:
    assert refusal_of(code) is Refusal.UNTRIED
