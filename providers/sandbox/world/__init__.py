"""The simulated world: rules and state, no I/O, no clock but its own."""
