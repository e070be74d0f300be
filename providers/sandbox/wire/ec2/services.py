"""What the account answers beside EC2: the interruption queue (SQS), images by parameter (SSM), prices, who one is.

One queue, ``interruptions``, with what EventBridge would put into it (source: facts aws §4.3, §5).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

from providers.sandbox.wire.ec2.request import Asked, ServiceError, Told, Values, in_json
from providers.sandbox.world.ec2 import messages
from providers.sandbox.world.ec2.context import Cloud
from providers.sandbox.world.ec2.images import image_by_parameter

ACCOUNT: Final = "123456789012"
QUEUE: Final = "interruptions"
_AT_ONCE: Final = 10
_AMPLE: Final = 100_000  # vCPUs
_QUOTAS: Final = {  # code: market and class
    "L-1216C47A": ("on-demand", "standard"),
    "L-34B43A08": ("spot", "standard"),
    "L-DB2E81BA": ("on-demand", "g"),
    "L-3819A6DF": ("spot", "g"),
    "L-417A185B": ("on-demand", "p"),
    "L-7212CCBC": ("spot", "p"),
    "L-7295265B": ("on-demand", "x"),
    "L-E3A00192": ("spot", "x"),
    "L-1945791B": ("on-demand", "inf"),
    "L-B5D1601B": ("spot", "inf"),
}
_GONE = "AWS.SimpleQueueService.NonExistentQueue"

Answer = Callable[[Cloud, Mapping[str, Any]], Values]


def answer(cloud: Cloud, asked: Asked) -> Told:
    """Answer a service that speaks JSON. Raises ServiceError."""
    (service, action), by_name = asked.target, _SERVICES
    if (known := by_name.get(f"{service}.{action}")) is None:
        raise ServiceError("UnknownOperationException", f"{service or asked.service}.{action} is not simulated")
    return in_json(known(cloud, asked.json()))


def waits(asked: Asked) -> float:
    """Give how many seconds a question to the queue waits for a message; 0 for any other request."""
    if asked.target != ("AmazonSQS", "ReceiveMessage"):
        return 0.0
    return min(20.0, float(asked.json().get("WaitTimeSeconds") or 0))


def about_oneself(cloud: Cloud, asked: Asked, request_id: str) -> Told:
    """Answer STS, which everybody asks who he is, and IAM, which has any instance profile that one asks for."""
    form = {key: value for key, (value, *_) in parse_qs(asked.body.decode()).items()}
    meta = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    match form.get("Action", ""):
        case "GetCallerIdentity":
            arn = f"arn:aws:sts::{ACCOUNT}:assumed-role/sandbox/reconcile"
            inside = f"<Arn>{arn}</Arn><UserId>AROASANDBOX:reconcile</UserId><Account>{ACCOUNT}</Account>"
        case "GetInstanceProfile":
            name = escape(form.get("InstanceProfileName", ""))
            role = f"<Roles><member>{_role(name)}</member></Roles>"
            inside = f"<InstanceProfile>{role}<InstanceProfileName>{name}</InstanceProfileName></InstanceProfile>"
        case "GetRole" if cloud.state.spot_role or not form.get("RoleName", "").endswith("ForEC2Spot"):
            inside = f"<Role>{_role(escape(form.get('RoleName', '')))}</Role>"
        case "GetRole":
            told = f"The role with name {escape(form.get('RoleName', ''))} cannot be found."
            return _no("NoSuchEntity", told, request_id, status=404)
        case other:
            return _no("InvalidAction", f"{escape(other)} is not simulated", request_id)
    action = form["Action"]
    return Told(body=f"<{action}Response><{action}Result>{inside}</{action}Result>{meta}</{action}Response>".encode())


def _role(name: str) -> str:
    return f"<RoleName>{name}</RoleName><RoleId>AROASANDBOX</RoleId><Arn>arn:aws:iam::{ACCOUNT}:role/{name}</Arn>"


def _no(code: str, message: str, request_id: str, *, status: int = 400) -> Told:
    error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return Told(
        body=f"<ErrorResponse>{error}<RequestId>{request_id}</RequestId></ErrorResponse>".encode(), status=status
    )


# --- the queue


def _queue(asked: Mapping[str, Any]) -> None:
    url = str(asked.get("QueueUrl") or "")
    if urlsplit(url).path.rpartition("/")[2] != QUEUE:
        raise ServiceError("com.amazonaws.sqs#QueueDoesNotExist", f"there is no queue {url}", old=_GONE)


def _receive(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    _queue(asked)
    most = int(asked.get("MaxNumberOfMessages") or 1)
    if not 1 <= most <= _AT_ONCE:
        raise ServiceError("InvalidParameterValue", f"Value {most} for parameter MaxNumberOfMessages is invalid.")
    hidden = asked.get("VisibilityTimeout")
    hidden_seconds = cloud.kernel.calendar.lasting(30.0 if hidden is None else float(hidden))
    found = messages.receive(cloud, count_max=most, hidden_seconds=hidden_seconds)
    if not found:
        return {}
    return {"Messages": [_message(m.id, json.dumps(m.body, separators=(",", ":")), m.receives) for m in found]}


def _message(message_id: str, body: str, receives: int) -> Values:
    return {
        "MessageId": message_id,
        "ReceiptHandle": message_id,
        "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        "Body": body,
        "Attributes": {"ApproximateReceiveCount": str(receives)},
    }


def _delete(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    _queue(asked)
    messages.delete(cloud, str(asked.get("ReceiptHandle")))
    return {}


def _delete_batch(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    _queue(asked)
    entries = asked.get("Entries") or []
    if not entries:
        raise ServiceError("com.amazonaws.sqs#EmptyBatchRequest", "There should be at least one entry.")
    if len(entries) > _AT_ONCE:
        raise ServiceError("com.amazonaws.sqs#TooManyEntriesInBatchRequest", "Maximum number of entries is 10.")
    for entry in entries:
        messages.delete(cloud, str(entry.get("ReceiptHandle")))
    return {"Successful": [{"Id": entry.get("Id")} for entry in entries], "Failed": []}


def _queue_url(_: Cloud, asked: Mapping[str, Any]) -> Values:
    name = str(asked.get("QueueName") or "")
    _queue({"QueueUrl": f"/{name}"})
    return {"QueueUrl": f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/{name}"}


def _queue_attributes(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    _queue(asked)
    return {
        "Attributes": {
            "QueueArn": f"arn:aws:sqs:{cloud.state.region}:{ACCOUNT}:{QUEUE}",
            "ApproximateNumberOfMessages": str(len(cloud.state.messages)),
            "VisibilityTimeout": "30",
        }
    }


# --- parameters and prices


def _parameter(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    """Give the image of the architecture that the parameter's name has in it."""
    name = str(asked.get("Name") or "")
    if (image := image_by_parameter(cloud, name)) is None:
        raise ServiceError("ParameterNotFound", "")
    arn = f"arn:aws:ssm:{cloud.state.region}::parameter{name}"
    return {"Parameter": {"Name": name, "Type": "String", "Value": image, "Version": 1, "ARN": arn}}


def _products(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    """Give on-demand prices: the catalogue's, in the account's one region, each product a text of its own."""
    wanted = {f["Field"]: f["Value"] for f in asked.get("Filters") or ()}
    if wanted.get("regionCode", cloud.state.region) != cloud.state.region:
        return {"FormatVersion": "aws_v1", "PriceList": []}
    metal = "bare metal" in wanted.get("productFamily", "")
    rows = [
        json.dumps(_product(kind.name, kind.on_demand_usd_per_hour))
        for kind in cloud.catalogue.values()
        if kind.bare_metal == metal and wanted.get("instanceType", kind.name) == kind.name
    ]
    start, size = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or 100)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return {"FormatVersion": "aws_v1", "PriceList": rows[start : start + size], **more}


def _quota(cloud: Cloud, asked: Mapping[str, Any]) -> Values:
    """Give a quota of running vCPUs; what the scenario does not bound is ample."""
    code = str(asked.get("QuotaCode") or "")
    if code not in _QUOTAS:
        raise ServiceError("NoSuchResourceException", f"there is no quota {code}")
    market, family = _QUOTAS[code]
    bound = next((q.vcpus_max for q in cloud.state.quotas if (q.market, q.family) == (market, family)), _AMPLE)
    return {"Quota": {"ServiceCode": "ec2", "QuotaCode": code, "Value": float(bound), "Unit": "None"}}


def _product(kind: str, usd: float) -> Values:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": f"{usd:.10f}"}}
    terms = {"OnDemand": {f"{kind}.offer": {"priceDimensions": {f"{kind}.rate": dimension}}}}
    return {"product": {"attributes": {"instanceType": kind}}, "serviceCode": "AmazonEC2", "terms": terms}


_SERVICES: Final[Mapping[str, Answer]] = {
    "AmazonSQS.ReceiveMessage": _receive,
    "AmazonSQS.DeleteMessage": _delete,
    "AmazonSQS.DeleteMessageBatch": _delete_batch,
    "AmazonSQS.GetQueueUrl": _queue_url,
    "AmazonSQS.GetQueueAttributes": _queue_attributes,
    "AmazonSSM.GetParameter": _parameter,
    "AWSPriceListService.GetProducts": _products,
    "ServiceQuotasV20190624.GetServiceQuota": _quota,
}
