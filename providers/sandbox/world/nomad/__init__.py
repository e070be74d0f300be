"""The simulated Nomad: control plane and client agents as pure rules over virtual time."""
