"""Documents in Consul's key-value store."""
