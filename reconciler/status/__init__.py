"""What a person sees of a group: conditions with their reasons, servers, pools, nodes, cost. Pure values in and out."""

from reconciler.status.acts import Act, Done, act_of, done_of
from reconciler.status.conditions import Condition, Standing, queued
from reconciler.status.group import Cost, GroupStatus, Predicted, status_of
from reconciler.status.machines import Bound, MachineRow, bound_of
from reconciler.status.tables import NodeRow, PoolRow, ServerRow, Work

__all__ = [
    "Act",
    "Bound",
    "Condition",
    "Cost",
    "Done",
    "GroupStatus",
    "MachineRow",
    "NodeRow",
    "PoolRow",
    "Predicted",
    "ServerRow",
    "Standing",
    "Work",
    "act_of",
    "bound_of",
    "done_of",
    "queued",
    "status_of",
]
