"""Holding the simulated Nomad to what a real one was recorded to do."""
