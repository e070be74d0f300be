"""A simulated Nomad and EC2 on this machine: pure rules over virtual time, thin doors into them."""
