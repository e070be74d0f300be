"""The simulated world as others see it: over HTTP."""
