"""Recorded timelines of server agents, performed again by the simulated ones and compared."""
