"""The routes of the service."""

import base64
import hashlib
import hmac
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from jsonschema.protocols import Validator
from opentelemetry import context
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest

from .contract import (
    ASYNCAPI,
    EVENTS,
    OPENAPI,
    ORDER_ID,
    PUBLIC,
    REFUND,
    REFUND_BODY,
    RETURN_BODY,
    wrong_fields,
)
from .processor import INTERNAL, Payment, Processor
from .provider import Provider, total
from .sidecar import Conflict, Sidecar, Unavailable
from .telemetry import begin_request, fields, log, metrics, tracer

OPEN = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json")
PROBES = OPEN[:3]
OPERATIONS = uuid.UUID("c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e")
JOB = {"dueTime": "20s", "schedule": "@every 20s"}


Errors = list[dict[str, str]] | None


class Problem(Exception):
    def __init__(self, status: int, slug: str, detail: str, errors: Errors = None) -> None:
        self.status, self.slug, self.detail, self.errors = status, slug, detail, errors


def problem_response(request: Request, problem: Problem) -> Response:
    body = {
        "type": f"urn:sidecart:problem:{problem.slug}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "instance": request.url.path,
        "request_id": fields().get("request_id", ""),
    } | ({"errors": problem.errors} if problem.errors else {})
    retry = {"retry-after": "1"} if problem.status == 503 or problem.slug.endswith("in-use") else {}
    return JSONResponse(body, problem.status, retry, "application/problem+json")


def not_found(what: str) -> Problem:
    return Problem(404, "not-found", f"{what} not found.")


async def body_of(request: Request) -> Any:
    raw = await request.body()
    if len(raw) > 100 * 1024:
        raise Problem(413, "too-large", "The body is larger than 100 KB.")
    if not raw:
        return {}
    if not re.search(r"[/+]json\b", request.headers.get("content-type", "")):
        raise Problem(415, "unsupported-media-type", "Send the body as application/json.")
    try:
        return json.loads(raw)
    except ValueError:
        raise Problem(400, "malformed-json", "The body is not valid JSON.") from None


async def valid_body_of(request: Request, schema: Validator) -> Any:
    body = await body_of(request)
    if errors := wrong_fields(schema, body):
        raise Problem(422, "invalid-input", "The body has invalid fields. See `errors`.", errors)
    return body


def caller_of(request: Request, admin: bool = False) -> str:
    caller, role = request.headers.get("x-caller-id", "").lower(), request.headers.get("x-caller-role")
    if not ORDER_ID.is_valid(caller) or role not in ("customer", "admin"):
        raise Problem(401, "unauthenticated", "An access token is required.")
    if admin and role != "admin":
        raise Problem(403, "forbidden", "Only administrators can call this route.")
    return caller


def id_of(text: str, what: str = "Payment") -> str:
    if not ORDER_ID.is_valid(text):
        raise not_found(what)
    return text.lower()


def order_id_of(text: str) -> str:
    fields()["order_id"] = id_of(text)
    return fields()["order_id"]


def nothing_captured() -> Problem:
    return Problem(409, "nothing-captured", "The order has no captured payment to refund.")


def public(payment: Payment | None) -> Payment | None:
    if payment is None or payment["status"] in INTERNAL:
        return None
    return {name: value for name, value in payment.items() if name in PUBLIC}


def create_app(sidecar: Sidecar, provider: Provider, processor: Processor, token: str) -> FastAPI:
    app = FastAPI(openapi_url=None)
    running: set[str] = set()

    @app.middleware("http")
    async def in_request(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        started, given = time.perf_counter(), request.headers.get("x-request-id", "")
        begin_request(given if re.fullmatch(r"[\w.-]{1,64}", given, re.ASCII) else str(uuid.uuid4()))
        context.attach(extract(request.headers))
        for field, header in (("caller_id", "x-caller-id"), ("caller_app", "dapr-caller-app-id")):
            if value := request.headers.get(header):
                fields()[field] = value
        path = request.url.path
        try:
            if path not in OPEN and not hmac.compare_digest(
                request.headers.get("dapr-api-token", "").encode(), token.encode()
            ):
                raise Problem(401, "unauthenticated", "Only the sidecar may call this service.")
            response = await call_next(request)
            if "route" not in request.scope:
                raise Problem(404, "not-found", "No route matches this URL.")
        except Problem as problem:
            response = problem_response(request, problem)
        except (Unavailable, Conflict) as error:
            log("error", "request failed", error=str(error))
            detail = "The service is temporarily unavailable. Try again later."
            response = problem_response(request, Problem(503, "unavailable", detail))
        except Exception as error:
            log("error", "request failed", error=type(error).__name__)
            response = problem_response(request, Problem(500, "internal-error", "A defect."))
        response.headers["x-request-id"] = fields()["request_id"]
        response.headers.setdefault("cache-control", "no-store")
        if path not in PROBES:
            route = re.sub(r"\{(\w+)\}", r":\1", getattr(request.scope.get("route"), "path", "none"))
            status, seconds = response.status_code, time.perf_counter() - started
            labels = ("http", request.method, route, str(status))
            metrics["requests_total"].labels(*labels).inc()
            metrics["request_duration_seconds"].labels(*labels).observe(seconds)
            outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
            about: dict[str, object] = {
                "method": request.method,
                "route": route,
                "path": path,
                "status": status,
            }
            duration = round(seconds * 1000, 1)
            about |= {"duration_ms": duration, "outcome": outcome} | fields()
            log("info", "request completed", **about)
        return response

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> dict[str, str]:
        if not await sidecar.is_ready():
            raise Problem(503, "unavailable", "The sidecar is unavailable.")
        return {"status": "ready"}

    @app.get("/metrics")
    async def scrape() -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    @app.get("/openapi.json")
    async def openapi() -> dict[str, Any]:
        return OPENAPI

    @app.get("/asyncapi.json")
    async def asyncapi() -> dict[str, Any]:
        return ASYNCAPI

    @app.get("/api/payments")
    async def list_payments(request: Request) -> dict[str, Any]:
        caller, ids = caller_of(request), request.query_params.getlist("order_id")
        if len(ids) != 1 or not ORDER_ID.is_valid(ids[0]):
            errors = [{"field": "order_id", "message": "must be a UUID"}]
            raise Problem(400, "invalid-query", "The query has invalid parameters. See `errors`.", errors)
        stored = await processor.load(ids[0].lower())
        is_admin = request.headers["x-caller-role"] == "admin"
        mine = stored and (is_admin or stored.value["customer_id"] == caller)
        payment = public(stored.value) if stored and mine else None
        return {"items": [payment] if payment else [], "next_cursor": None}

    @app.get("/api/payments/ledger/{order_id}")
    async def get_ledger(request: Request, order_id: str) -> dict[str, Any]:
        caller_of(request, admin=True)
        order_id = order_id_of(order_id)
        ledger = await provider.limited(provider.ledger(order_id))
        if ledger is None:
            raise not_found("Ledger")
        captures, refunds = ledger["captures"], ledger["refunds"]
        sums = {"captured": total(captures), "refunded": total(refunds)}
        return {"order_id": order_id, **sums, "captures": captures, "refunds": refunds}

    @app.post("/api/payments/{order_id}/refund")
    async def refund(request: Request, order_id: str) -> Response:
        caller, order_id = caller_of(request, admin=True), order_id_of(order_id)
        await valid_body_of(request, REFUND_BODY)
        given = request.headers.get("idempotency-key")
        if given is None:
            return JSONResponse(public(await refund_by_shop(order_id)))
        key = re.sub(r'^"(.*)"$', r"\1", given)
        if not re.fullmatch(r"[!-~]{1,255}", key):
            raise Problem(400, "invalid-idempotency-key", "The key must be visible ASCII.")
        return await once(caller, key, order_id)

    async def once(caller: str, key: str, order_id: str) -> Response:
        operation = str(uuid.uuid5(OPERATIONS, f"{caller} {REFUND['x-operation']['name']} {key}"))
        request = json.dumps({"orderId": order_id}, separators=(",", ":"))
        digest = hmac.digest(key.encode(), request.encode(), hashlib.sha256)
        fingerprint = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if operation in running:
            raise Problem(409, "idempotency-key-in-use", "The first request with this key is in progress.")
        running.add(operation)
        try:
            if stored := await sidecar.load(f"idempotency:{operation}"):
                if stored.value["fingerprint"] != fingerprint:
                    raise Problem(422, "idempotency-key-reused", "This key was used for a different request.")
                replay = {"idempotent-replayed": "true"} | stored.value.get("headers", {})
                return JSONResponse(stored.value["body"], stored.value["status"], replay)
            body = public(await refund_by_shop(order_id))
            response = {"status": 200, "body": body, "fingerprint": fingerprint}
            try:
                await sidecar.save(f"idempotency:{operation}", response, ttl=86_400)
            except (Conflict, Unavailable) as error:
                log("warn", "storing the response failed", error=str(error))
            return JSONResponse(body)
        finally:
            running.discard(operation)

    async def order_now(order_id: str) -> dict[str, Any] | None:
        response = await sidecar.get("orders", f"/orders?ids={order_id}")
        if response.status_code != 200:
            raise Unavailable(f"orders: {response.status_code}")
        items = response.json()["items"]
        return items[0] if items else None

    async def refund_by_shop(order_id: str) -> Payment:
        before = await processor.load(order_id)
        if before and before.value["status"] == "CAPTURED":
            if (await order_now(order_id) or {}).get("status") not in ("SHIPPED", "DELIVERED"):
                raise Problem(409, "order-not-delivered", "The order is not shipped. Cancel it instead.")
            await sidecar.schedule(f"refund-{order_id}", dict(JOB))
        payment = await processor.refund(order_id)
        if payment is None:
            raise not_found("Payment")
        if payment["status"] != "REFUNDED":
            raise nothing_captured()
        try:
            await processor.publish_refund(payment)
        except Unavailable as error:
            log("warn", "publishing payment.refunded failed; the job will retry", error=str(error))
        return payment

    @app.post("/job/refund-{order_id}")
    async def continue_refund(request: Request, order_id: str) -> dict[str, Any]:
        order_id, data = order_id_of(order_id), await body_of(request)
        if isinstance(data, dict) and "traceparent" in data:
            context.attach(extract(data))
        order = await order_now(order_id)
        payment = await processor.refund(order_id) if order else None
        if order and payment and order.get("refunded", 0) < payment["refunded"]:
            await processor.publish_refund(payment)
        else:
            await sidecar.delete_job(f"refund-{order_id}")
        return {}

    @app.put("/refunds/{order_id}/{return_id}")
    async def refund_return(request: Request, order_id: str, return_id: str) -> dict[str, Any]:
        order_id, return_id = order_id_of(order_id), id_of(return_id, "Return")
        body = await valid_body_of(request, RETURN_BODY)
        payment = await processor.refund_return(order_id, return_id, int(body["amount"]))
        if payment is None:
            raise not_found("Payment")
        if return_id not in payment.get("returns", {}):
            raise nothing_captured()
        refund = {"amount": payment["returns"][return_id]}
        return refund | {name: payment[name] for name in ("refunded", "currency")}

    @app.post("/events/{kind}")
    async def receive(request: Request, kind: str) -> dict[str, str]:
        if kind not in EVENTS:
            raise Problem(404, "not-found", "No route matches this URL.")
        event = await body_of(request)
        fields().update(event_type=kind, outcome="DROP")
        if EVENTS[kind].is_valid(event):
            order = event["data"]["order"]
            order |= {name: order[name].lower() for name in ("order_id", "customer_id")}
            fields().update(event_id=event["id"], order_id=order["order_id"], outcome="SUCCESS")
            try:
                with tracer.start_as_current_span(f"process {kind}", kind=SpanKind.CONSUMER):
                    await handle(kind, order)
            except (Unavailable, Conflict) as error:
                cause = "conflict" if isinstance(error, Conflict) else "sidecar"
                metrics["event_redeliveries_total"].labels(kind, cause).inc()
                log("warn", "event failed; the sidecar will redeliver", error=str(error))
                fields()["outcome"] = "RETRY"
        return {"status": fields()["outcome"]}

    async def handle(kind: str, order: dict[str, Any]) -> None:
        if kind == "payment.requested":
            payment = await processor.charge(order)
            await processor.publish_outcome(payment)
        else:
            payment = await processor.end_order(order, kind.replace(".", " "))
        await processor.publish_refund(payment)

    return app
