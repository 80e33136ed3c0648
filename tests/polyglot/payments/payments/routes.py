"""The routes of the service."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Depends, Header, HTTPException, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from . import processor, provider
from .generated import documents as doc
from .runtime.idempotency import once
from .runtime.sidecar import Conflict, Unavailable, call, in_time
from .runtime.telemetry import fields, log, metrics
from .runtime.web import Caller, admin, app

Event = doc.PaymentRequested | doc.OrderCancelled | doc.OrderExpired | doc.RefundRequested


def public(payment: doc.StoredPayment | None) -> doc.Payment | None:
    """What a caller may see of a payment. Nothing, if it is internal."""
    if payment is None or payment.status in ("REQUESTED", "REFUSED"):
        return None
    shown = payment.model_dump(include=set(doc.Payment.model_fields), exclude_none=True)
    return doc.Payment.model_validate(shown)


@app.get("/api/payments", response_model_exclude_unset=True)
async def list_payments(caller: Annotated[Caller, Header()], order_id: UUID) -> doc.PaymentList:
    payment, _ = await processor.find(order_id)
    is_theirs = caller.x_caller_role == "admin" or payment and payment.customer_id == caller.x_caller_id
    shown = public(payment) if is_theirs else None
    return doc.PaymentList(items=[shown] if shown else [], next_cursor=None)


@app.get("/api/payments/ledger/{order_id}", dependencies=[Depends(admin)], response_model_exclude_none=True)
async def get_ledger(order_id: UUID) -> doc.Ledger:
    ledger = await provider.ledger_of(order_id)
    if ledger is None:
        raise HTTPException(404, "not-found")
    sums = {"captured": provider.total(ledger.captures), "refunded": provider.total(ledger.refunds)}
    entries = ledger.model_dump(include={"captures", "refunds"})
    return doc.Ledger.model_validate({"order_id": order_id} | sums | entries)


@app.post("/api/payments/{order_id}/refund")
async def refund(
    order_id: UUID,
    caller: Annotated[UUID, Depends(admin)],
    idempotency_key: Annotated[str | None, Header()] = None,
    _: doc.RefundRequest | None = None,
) -> Response:
    work = partial(refund_by_shop, order_id)
    if idempotency_key is None:
        return JSONResponse(await work())
    return await once(caller, "refund", idempotency_key, {"orderId": str(order_id)}, work)


async def refund_by_shop(order_id: UUID) -> dict[str, Any]:
    payment, _ = await processor.find(order_id)
    if payment is None or public(payment) is None:
        raise HTTPException(404, "not-found")
    if payment.status == "CAPTURED":
        response = await call("GET", f"/orders?ids={order_id}", headers={"dapr-app-id": "orders"})
        order = next(iter((await response.json())["items"]), None)
        if order is None or order["status"] not in ("SHIPPED", "DELIVERED"):
            raise HTTPException(409, "order-not-delivered")
        await processor.publish("refund.requested", payment)
    payment = await processor.advance("refund", payment, "refunded by the shop")
    shown = public(payment)
    if shown is None or shown.status != "REFUNDED":
        raise HTTPException(409, "nothing-captured")
    try:
        await processor.publish_refund(payment)
    except Unavailable as error:
        log.warning("publishing failed; refund.requested will do it", extra={"error": str(error)})
    return shown.model_dump(mode="json", exclude_none=True)


@app.put("/refunds/{order_id}/{return_id}")
async def refund_return(order_id: UUID, return_id: UUID, body: doc.ReturnRequest) -> dict[str, Any]:
    payment = await processor.refund_return(order_id, return_id, body.amount)
    if payment is None:
        raise HTTPException(404, "not-found")
    amount = (payment.returns or {}).get(str(return_id))
    if amount is None:
        raise HTTPException(409, "nothing-captured")
    return {"amount": amount, "refunded": payment.refunded, "currency": payment.currency}


async def handle(event: Event) -> None:
    if event.type == "refund.requested":
        stored, _ = await processor.find(event.data.order_id)
        if stored is None:
            raise Unavailable("there is no payment")
        payment = await processor.advance("refund", stored, "refunded by the shop")
    elif event.type == "payment.requested":
        payment = await processor.charge(event.data.order)
        outcome = "processed" if payment.status == "CAPTURED" else "failed"
        await processor.publish(f"payment.{outcome}", payment)
    else:
        new, reason = processor.requested(event.data.order), event.type.replace(".", " ")
        payment = await processor.advance("order-ended", new, reason)
    await processor.publish_refund(payment)


@app.post("/events/{kind}")
async def receive(kind: str, event: Annotated[Event, Body(discriminator="type")]) -> dict[str, str]:
    if event.type != kind:
        raise RequestValidationError([])
    outcome = "SUCCESS"
    fields.get().update(event_type=kind, event_id=event.id)
    try:
        await in_time(handle(event))
    except Unavailable as error:
        outcome, cause = "RETRY", "conflict" if isinstance(error, Conflict) else "sidecar"
        metrics["event_redeliveries_total"].labels(kind, cause).inc()
        log.warning("event failed; the sidecar will redeliver", extra={"error": str(error)})
    fields.get()["outcome"] = outcome
    return {"status": outcome}
