"""Where journal, lock and status live."""
