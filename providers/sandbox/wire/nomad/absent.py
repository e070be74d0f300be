"""The routes about what the simulated cluster has none of: a client that lists everything is told so, not refused."""

from __future__ import annotations

from providers.sandbox.wire.nomad.call import Call, Reply
from providers.sandbox.wire.nomad.route import Route, get
from providers.sandbox.world.nomad.errors import ApiError

_EMPTY = (
    "/v1/services",
    "/v1/service/{name}",
    "/v1/allocation/{id}/services",
    "/v1/plugins",
    "/v1/volumes",
    "/v1/scaling/policies",
)
_MISSING = {
    "/v1/volume/csi/{id}": "volume not found",
    "/v1/volume/host/{id}": "volume not found",
    "/v1/plugin/csi/{id}": "plugin not found",
    "/v1/scaling/policy/{id}": "policy not found",
}
_ENTERPRISE = ("/v1/quotas", "/v1/quota-usages", "/v1/recommendations", "/v1/sentinel/policies")


def _nothing(call: Call) -> Reply:
    return Reply(body=[], index=max(1, call.api.index))


def _missing(path: str, text: str) -> Route:
    def answer(_: Call) -> Reply:
        raise ApiError(404, text)

    return get(path, answer)


def _enterprise(_: Call) -> Reply:
    raise ApiError(501, "Nomad Enterprise only endpoint")


ROUTES = [
    *(get(path, _nothing) for path in _EMPTY),
    *(_missing(path, text) for path, text in _MISSING.items()),
    *(get(path, _enterprise, forwarded=False) for path in _ENTERPRISE),
]
