"""The composition root: the only room that names a provider, a real clock, a disk."""
