"""Nothing here reaches an account."""

from __future__ import annotations

from support.aws_account import no_account

__all__ = ["no_account"]
