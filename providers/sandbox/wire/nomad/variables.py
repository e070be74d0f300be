"""The routes of variables and their locks."""

from __future__ import annotations

from providers.sandbox.wire.nomad.call import Call, Reply, paged
from providers.sandbox.wire.nomad.route import delete, get, put
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.variables import ConflictError

_LOCKS = ("lock-acquire", "lock-renew", "lock-release")


def _list(call: Call) -> Reply:
    found = call.world.nomad.variables.list(namespace=call.namespace, prefix=call.option("prefix"))
    rows, more = paged(call, found, token=lambda row: f"{row['Namespace']}.{row['Path']}")
    return Reply(body=rows, index=call.api.table_index("variables"), headers=more)


def _read(call: Call) -> Reply:
    found = call.world.nomad.variables.read(call.path["path"], namespace=call.namespace)
    return Reply(body=found, index=found["ModifyIndex"])


def _put(call: Call) -> Reply:
    variables, path = call.world.nomad.variables, call.path["path"]
    operations = [lock for lock in _LOCKS if lock in call.query]
    if operations and "cas" in call.query:
        raise ApiError(400, "CAS can't be used with lock operations")
    body = call.table()
    try:
        match operations:
            case ["lock-acquire"]:
                answer = variables.acquire(path, body, namespace=call.namespace)
            case ["lock-renew"]:
                return Reply(body=variables.renew(path, body, namespace=call.namespace))
            case ["lock-release"]:
                answer = variables.release(path, body, namespace=call.namespace)
            case _:
                answer = variables.put(path, body, namespace=call.namespace, cas=call.number("cas"))
    except ConflictError as conflict:
        return _conflict(conflict)
    return Reply(body=answer, index=answer["ModifyIndex"], read=False)


def _delete(call: Call) -> Reply:
    try:
        index = call.world.nomad.variables.delete(call.path["path"], namespace=call.namespace, cas=call.number("cas"))
    except ConflictError as conflict:
        return _conflict(conflict)
    return Reply(status=204, empty=True, index=index, read=False)


def _conflict(conflict: ConflictError) -> Reply:
    return Reply(status=409, body=conflict.shown, index=conflict.index, read=False)


ROUTES = [
    get("/v1/vars", _list),
    get("/v1/var/{path*}", _read),
    put("/v1/var/{path*}", _put),
    delete("/v1/var/{path*}", _delete),
]
