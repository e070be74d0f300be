"""The least rights that one document needs: of the reconciler at AWS, of its machines at AWS, and at Nomad."""

from reconciler.iam.machines import machine_policy, role_of
from reconciler.iam.nomad import needs_management, nomad_policy
from reconciler.iam.policy import Place, Policy, Statement
from reconciler.iam.reconciler import reconciler_policy

__all__ = [
    "Place",
    "Policy",
    "Statement",
    "machine_policy",
    "needs_management",
    "nomad_policy",
    "reconciler_policy",
    "role_of",
]
