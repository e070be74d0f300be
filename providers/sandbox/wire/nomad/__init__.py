"""The simulated world behind Nomad's HTTP API (source: recordings/http)."""

from providers.sandbox.wire.nomad.app import NomadWire

__all__ = ["NomadWire"]
