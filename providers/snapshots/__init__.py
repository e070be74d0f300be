"""Where the servers' snapshots are kept: a directory of this machine, a prefix in S3, or a sandbox's memory."""

from __future__ import annotations

from providers.snapshots.directory import Directory
from providers.snapshots.memory import Remembered
from providers.snapshots.places import Places
from providers.snapshots.s3 import S3

__all__ = ["S3", "Directory", "Places", "Remembered"]
