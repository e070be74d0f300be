"""A workload: the jobs that people submit over time and the market meanwhile, as a file says it."""

from schemas.workload.load import LoadedWorkload, load_workload
from schemas.workload.model import Arrivals, Daily, Job, Market, Step, Workload

__all__ = ["Arrivals", "Daily", "Job", "LoadedWorkload", "Market", "Step", "Workload", "load_workload"]
