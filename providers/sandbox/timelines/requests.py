"""The requests of a recording, put to the simulated servers, and their answers in comparable words."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from providers.sandbox.timelines.recording import Json, Step, without_addresses
from providers.sandbox.world.servers import answers
from providers.sandbox.world.servers.answers import NoAnswerError, ServerError

if TYPE_CHECKING:
    from providers.sandbox.timelines.stage import Stage

_REQUEST = re.compile(r".*?: (?P<method>GET|PUT|DELETE) (?P<url>\S+)(?: to (?P<label>\w+))?$")
_ID = re.compile(r"([0-9a-f]{4})[0-9a-f]{4}-[0-9a-f-]{27}")
_PORT = re.compile(r"\b(s\d+):4647")
_CHANGING = {"Index", "CreateIndex", "ModifyIndex", "CreateTime", "ModifyTime"}
_REMOVE_BY_ADDRESS = "Removing a peer by address is not supported in the current raft protocol version"


class Requests:
    """Puts requests; remembers what was written through which cluster."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._variables: dict[str, dict[str, Json]] = {}

    def put(self, step: Step) -> tuple[int, str, float]:
        """Ask once: (status, body in words, seconds that the server would hold the question back)."""
        if (found := _REQUEST.match(step.text)) is None:
            raise ValueError(f"a request that cannot be read: {step.text}")
        url = urlsplit(self._localized(found["url"]))
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        asked = self._stage.addresses[found["label"] or self._stage.watched[0]]
        try:
            status, body = self._answer(found["method"], url.path, query, asked)
        except ServerError as no:
            return no.status, self._words(_body_of(no.text)), no.took
        except NoAnswerError:
            return 0, "no answer", 0.0
        return status, self._words(body), 0.0

    def recorded(self, answer: Json) -> tuple[int, str]:
        """Give the recorded answer in the same words."""
        return answer["status"], self._words(answer["body"])

    def _answer(self, method: str, path: str, query: dict[str, str], asked: str) -> tuple[int, Any]:
        servers, stale = self._stage.servers, query.get("stale") == "true"
        match method, path:
            case "PUT", "/v1/agent/force-leave":
                answers.force_leave(servers, asked, query["node"], prune=query.get("prune") == "true")
                return 200, None
            case "PUT", "/v1/agent/join":
                return 200, answers.join(servers, asked, [query["address"]])
            case "DELETE", "/v1/operator/raft/peer":
                if "id" not in query:
                    return 400, _REMOVE_BY_ADDRESS
                answers.remove_peer(servers, asked, server_id=query["id"])
                return 200, None
            case "PUT", "/v1/operator/raft/transfer-leadership":
                to_id, to_address = query.get("id", ""), query.get("address", "")
                return 200, answers.transfer_leadership(servers, asked, server_id=to_id, to_address=to_address)
            case "GET", "/v1/status/leader":
                return 200, answers.status_leader(servers, asked, stale=stale)
            case "GET", "/v1/status/peers":
                return 200, answers.status_peers(servers, asked, stale=stale)
            case "GET", "/v1/operator/raft/configuration":
                return 200, answers.raft_configuration(servers, asked, stale=stale)
            case "GET", "/v1/operator/autopilot/health":
                return answers.autopilot_health(servers, asked)
            case "GET", "/v1/agent/health":
                return 200, answers.health(servers, asked, stale=stale)
            case "GET", "/v1/regions":
                return 200, answers.regions(servers, asked)
            case "GET", "/v1/nodes" | "/v1/jobs":
                if not stale:
                    answers.require_leader(servers, asked, region=query.get("region", ""))
                return 200, []
        if path.startswith("/v1/var/"):
            return self._variable(method, path.removeprefix("/v1/var/"), asked)
        raise ValueError(f"a request that is not known: {method} {path}")

    def _variable(self, method: str, path: str, asked: str) -> tuple[int, Any]:
        answers.require_leader(self._stage.servers, asked)
        log = self._variables.setdefault(self._stage.servers.state.agents[asked].cluster, {})
        if method == "PUT":
            answers.write(self._stage.servers, asked)
            log[path] = {"Items": {"a": "b"}, "Namespace": "default", "Path": path}
        return (200, log[path]) if path in log else (404, "variable not found")

    def _localized(self, url: str) -> str:
        """Put the simulated ids and addresses where the recorded ones are."""

        def own_id(found: re.Match[str]) -> str:
            return self._stage.id_of(self._stage.recording.ids[found[1]])

        return re.sub(r"10\.77\.\d+\.(\d+)", r"10.77.0.\1", _ID.sub(own_id, url))

    def _words(self, body: Any) -> str:
        return json.dumps(self._plain(body), sort_keys=True)

    def _plain(self, body: Any) -> Any:
        if isinstance(body, dict):
            return {key: self._plain(value) for key, value in body.items() if key not in _CHANGING}
        if isinstance(body, list):
            return sorted((self._plain(one) for one in body), key=lambda one: json.dumps(one, sort_keys=True))
        return self._text(body) if isinstance(body, str) else body

    def _text(self, text: str) -> str:
        def words(found: re.Match[str]) -> str:
            own = self._stage.id_words(found[0])
            return own if own != found[0] else self._stage.recording.ids.get(found[1], found[0])

        return _PORT.sub(r"\1", without_addresses(_ID.sub(words, text)))


def _body_of(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
