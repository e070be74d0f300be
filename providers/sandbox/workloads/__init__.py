"""Workloads for the sandbox: files become scenarios; some are shipped."""

from providers.sandbox.workloads.compose import scenario_of
from providers.sandbox.workloads.shipped import WorkloadNotFoundError, shipped, text_of

__all__ = ["WorkloadNotFoundError", "scenario_of", "shipped", "text_of"]
