"""The fast way into the simulated world: our ports, answered without a wire."""
