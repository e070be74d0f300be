"""What ``reconcile simulate`` makes of a run: what the program did meanwhile, and the report of all of it."""
