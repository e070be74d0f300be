"""The placement model: what fits where, what a new machine would offer, and which machines to buy."""
