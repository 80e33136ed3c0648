"""The state machine of payments: a step calls the provider, and saves the payment."""

import time
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter
from uuid_utils.compat import uuid7

from . import provider
from .generated import documents as doc
from .provider import NoAnswer, now, total
from .runtime.settings import settings
from .runtime.sidecar import again_on_conflict, call, load, save
from .runtime.telemetry import fields, metrics

Trigger = Literal["payment.requested", "card-erased", "order-ended", "refund"]
ENVELOPE = {"specversion": "1.0", "source": "payments", "datacontenttype": "application/json"}
DATA = {
    "payment.processed": ("order_id", "payment_id"),
    "payment.failed": ("order_id", "reason"),
    "payment.refunded": ("order_id", "payment_id", "refunded", "currency"),
    "refund.requested": ("order_id", "payment_id"),
}
Sent = doc.PaymentProcessed | doc.PaymentFailed | doc.PaymentRefunded | doc.RefundRequested
SENT: TypeAdapter[Sent] = TypeAdapter(Sent)
ENDED = ("FAILED", "REFUNDED", "REFUSED")
FINAL = ("CAPTURED", *ENDED)
STEPS: dict[Trigger, dict[str, str]] = {
    "payment.requested": {"NONE": "authorize", "REQUESTED": "authorize", "AUTHORIZED": "capture"}
    | dict.fromkeys(ENDED, "reverse"),
    "card-erased": {"NONE": "block", "REQUESTED": "reverse", "AUTHORIZED": "reverse"},
    "order-ended": {"NONE": "block", "REQUESTED": "reverse", "AUTHORIZED": "reverse", "CAPTURED": "reverse"},
    "refund": {"CAPTURED": "reverse"},
}


async def find(order_id: UUID) -> tuple[doc.StoredPayment | None, str | None]:
    fields.get()["order_id"] = str(order_id)
    return await load(f"payment:{order_id}", doc.StoredPayment)


def requested(order: doc.Order) -> doc.StoredPayment:
    known = order.model_dump(include={"order_id", "customer_id", "currency"}) | {"amount": order.total}
    new = {"status": "REQUESTED", "refunded": 0, "attempts": 0, "updated_at": now()}
    return doc.StoredPayment.model_validate(known | new | {"payment_id": uuid7()})


def next_step(trigger: Trigger, payment: doc.StoredPayment | None) -> str | None:
    step = STEPS[trigger].get(payment.status if payment else "NONE")
    is_exhausted = payment and payment.attempts >= settings.PAYMENT_MAX_ATTEMPTS
    return "reverse" if is_exhausted and step in ("authorize", "capture") else step


@again_on_conflict
async def advance(
    trigger: Trigger, new: doc.StoredPayment, reason: str | None = None, card: str = ""
) -> doc.StoredPayment:
    """Takes the next step, and returns the payment after it. If none is stored, it starts with `new`."""
    before, etag = await find(new.order_id)
    payment, step = before or new, next_step(trigger, before)
    if step == "block":
        changes: dict[str, Any] = {"status": "REFUSED", "reason": reason}
    elif step == "reverse":
        changes = await reverse(payment, reason or payment.last_failure or "provider unreachable")
    elif step:
        changes = await call_provider(step, payment, card)
    else:
        return payment
    after = await store(before, payment.model_copy(update=changes), etag)
    if payment.attempts < after.attempts < settings.PAYMENT_MAX_ATTEMPTS:
        raise NoAnswer(after.last_failure)
    return after


async def call_provider(step: str, payment: doc.StoredPayment, card: str) -> dict[str, Any]:
    outcome, started = "unanswered", time.perf_counter()
    try:
        operation = provider.authorize if step == "authorize" else provider.capture
        refusal = await operation(payment.order_id, payment.amount, card)
        outcome = "declined" if refusal else "approved"
    except NoAnswer as error:
        return {"attempts": payment.attempts + 1, "last_failure": str(error)}
    finally:
        duration = time.perf_counter() - started
        metrics["payment_provider_duration_seconds"].labels(step, outcome).observe(duration)
    if refusal:
        return {"status": "FAILED", "reason": refusal, "updated_at": now()}
    return {"status": "AUTHORIZED" if step == "authorize" else "CAPTURED", "updated_at": now()}


async def reverse(payment: doc.StoredPayment, reason: str) -> dict[str, Any]:
    refunded = total(await provider.refund(payment.order_id))
    if payment.status in ENDED:
        return {} if refunded == payment.refunded else {"status": "REFUNDED", "refunded": refunded}
    status = "REFUNDED" if payment.status == "CAPTURED" or refunded > 0 else "FAILED"
    return {"status": status, "refunded": refunded, "reason": reason, "updated_at": now()}


async def store(
    before: doc.StoredPayment | None, after: doc.StoredPayment, etag: str | None
) -> doc.StoredPayment:
    """Saves the payment if it differs."""
    if after == before:
        return after
    await save(f"payment:{after.order_id}", after, etag)
    if after.status in FINAL and (before is None or before.status != after.status):
        metrics["payments_processed_total"].labels(after.status).inc()
    reason = {"payment_reason": after.reason} if after.reason else {}
    fields.get().update(payment_id=str(after.payment_id), payment_status=after.status, **reason)
    return after


async def charge(order: doc.Order) -> doc.StoredPayment:
    """Repeats the steps of `payment.requested` until the payment has its outcome."""
    payment, card = requested(order), ""
    if next_step("payment.requested", (await find(order.order_id))[0]) in ("authorize", "capture"):
        path = f"/orders/{order.order_id}/payment-method"
        response = await call("GET", path, also=410, headers={"dapr-app-id": "orders"})
        if response.status == 410:
            return await advance("card-erased", payment, "the order has ended")
        card = (await response.json())["card_token"]
    while (payment := await advance("payment.requested", payment, card=card)).status not in FINAL:
        pass
    return payment


@again_on_conflict
async def refund_return(order_id: UUID, return_id: UUID, amount: int) -> doc.StoredPayment | None:
    """Refunds a part, once per return. Returns the payment, without the return if nothing is captured."""
    payment, etag = await find(order_id)
    returns = payment and payment.returns or {}
    if payment is None or str(return_id) in returns or payment.status not in ("CAPTURED", "REFUNDED"):
        return payment
    refunds = await provider.refund(order_id, amount, return_id)
    part = total(entry for entry in refunds if entry.return_id == return_id)
    changes: dict[str, Any] = {"returns": returns | {str(return_id): part}, "refunded": total(refunds)}
    if payment.status == "CAPTURED" and total(refunds) >= payment.amount:
        changes |= {"status": "REFUNDED", "updated_at": now()}
    return await store(payment, payment.model_copy(update=changes), etag)


async def publish_refund(payment: doc.StoredPayment) -> None:
    if payment.refunded > 0:
        await publish("payment.refunded", payment, suffix=f":{payment.refunded}")


async def publish(topic: str, payment: doc.StoredPayment, suffix: str = "") -> None:
    """Publishes an event that follows from the payment. It is the same in every process."""
    known = payment.model_dump() | {"reason": payment.reason or "not paid"}
    ids = {"id": f"{payment.payment_id}:{topic}{suffix}", "subject": str(payment.order_id), "type": topic}
    data = {name: known[name] for name in DATA[topic]}
    event = SENT.validate_python(ENVELOPE | ids | {"time": payment.updated_at, "data": data})
    headers, path = {"content-type": "application/cloudevents+json"}, f"/v1.0/publish/pubsub/{topic}"
    await call("POST", path, headers=headers, data=event.model_dump_json())
