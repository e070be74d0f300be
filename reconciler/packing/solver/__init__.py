"""The packing solver: the cheapest machines that hold given shapes, and a bound that nobody can undercut.

Generic arithmetic: it knows vectors, counts, prices and limits, nothing of Nomad or EC2.
"""

from reconciler.packing.solver.problem import (
    Bin,
    Budget,
    Filling,
    Offering,
    Packing,
    Problem,
    ProblemError,
    Purchase,
    Reason,
    Shape,
    Unplaced,
)
from reconciler.packing.solver.solve import solve
from reconciler.packing.solver.verify import faults

__all__ = [
    "Bin",
    "Budget",
    "Filling",
    "Offering",
    "Packing",
    "Problem",
    "ProblemError",
    "Purchase",
    "Reason",
    "Shape",
    "Unplaced",
    "faults",
    "solve",
]
