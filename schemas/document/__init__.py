"""The ClusterGroup document: text in, checked and frozen values out."""

from schemas.document.group import ClusterGroup
from schemas.document.machine import EffectiveMachine, effective_machine
from schemas.document.pool import Pool
from schemas.document.servers import Servers

__all__ = ["ClusterGroup", "EffectiveMachine", "Pool", "Servers", "effective_machine"]
