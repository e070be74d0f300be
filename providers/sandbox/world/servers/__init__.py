"""Simulated Nomad server agents: gossip, raft and autopilot as ``recordings/servers`` show them, lies included."""
