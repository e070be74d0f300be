"""A look at Nomad and AWS before anything is launched: reach, rights, clock, and what the document names there."""
