"""Nomad's HTTP API behind our port."""
