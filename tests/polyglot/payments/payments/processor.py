"""The state machine of payments: calls the provider, then saves the payment."""

import os
import time
import uuid
from typing import Any

from .provider import NoAnswer, Provider
from .sidecar import Sidecar, Stored, Unavailable, retry_on_conflict
from .telemetry import fields, metrics, now, tracer

Payment = dict[str, Any]
ENDED = ("FAILED", "REFUNDED", "REFUSED")
INTERNAL = ("REQUESTED", "REFUSED")
STEPS = {
    "payment.requested": {"NONE": "authorize", "REQUESTED": "authorize", "AUTHORIZED": "capture"}
    | dict.fromkeys(ENDED, "reverse"),
    "card-erased": {"NONE": "block", "REQUESTED": "reverse", "AUTHORIZED": "reverse"},
    "order-ended": {"NONE": "block", "REQUESTED": "reverse", "AUTHORIZED": "reverse", "CAPTURED": "reverse"},
    "refund": {"CAPTURED": "reverse"},
}


class Processor:
    def __init__(self, sidecar: Sidecar, provider: Provider, max_attempts: int) -> None:
        self.sidecar, self.provider, self.max_attempts = sidecar, provider, max_attempts

    async def load(self, order_id: str) -> Stored | None:
        return await self.sidecar.load(f"payment:{order_id}")

    def step(self, before: Stored | None, trigger: str) -> str | None:
        step = STEPS[trigger].get(before.value["status"] if before else "NONE")
        exhausted = before and before.value["attempts"] >= self.max_attempts
        return "reverse" if exhausted and step in ("authorize", "capture") else step

    async def save(self, payment: Payment, before: Stored | None) -> Payment:
        if before and payment == before.value:
            return payment
        await self.sidecar.save(f"payment:{payment['order_id']}", payment, before)
        status = payment["status"]
        if (not before or before.value["status"] != status) and status in ("CAPTURED", *ENDED):
            metrics["payments_processed_total"].labels(status).inc()
        fields().update(payment_id=payment["payment_id"], payment_status=status)
        if "reason" in payment:
            fields()["payment_reason"] = payment["reason"]
        return payment

    async def reverse(self, before: Stored, reason: str) -> Payment:
        payment = before.value
        with tracer.start_as_current_span("reverse payment"):
            refunded = await self.provider.limited(self.provider.refund(payment["order_id"]))
        if payment["status"] in ENDED:
            changes = {"status": "REFUNDED", "refunded": refunded} if refunded != payment["refunded"] else {}
            return await self.save(payment | changes, before)
        status = "REFUNDED" if payment["status"] == "CAPTURED" or refunded > 0 else "FAILED"
        changes = {"status": status, "refunded": refunded, "reason": reason, "updated_at": now()}
        return await self.save(payment | changes, before)

    async def call_provider(self, step: str, payment: Payment, card: str, before: Stored | None) -> Payment:
        started = time.perf_counter()

        def measure(outcome: str) -> None:
            duration = time.perf_counter() - started
            metrics["payment_provider_duration_seconds"].labels(step, outcome).observe(duration)

        try:
            call = self.provider.authorize if step == "authorize" else self.provider.capture
            with tracer.start_as_current_span(f"{step} payment"):
                refusal = await self.provider.limited(call(payment["order_id"], payment["amount"], card))
        except NoAnswer as error:
            measure("unanswered")
            attempts = payment["attempts"] + 1
            after = await self.save(payment | {"attempts": attempts, "last_failure": str(error)}, before)
            if attempts < self.max_attempts:
                raise
            return after
        measure("declined" if refusal else "approved")
        if refusal:
            return await self.save(
                payment | {"status": "FAILED", "reason": refusal, "updated_at": now()}, before
            )
        status = "AUTHORIZED" if step == "authorize" else "CAPTURED"
        return await self.save(payment | {"status": status, "updated_at": now()}, before)

    async def card_of(self, order_id: str) -> str | None:
        response = await self.sidecar.get("orders", f"/orders/{order_id}/payment-method")
        if response.status_code == 410:
            return None
        if response.status_code != 200:
            raise Unavailable(f"orders: {response.status_code}")
        return str(response.json()["card_token"])

    async def charge(self, order: dict[str, Any]) -> Payment:
        """Brings the payment to its outcome."""
        cards: list[str | None] = []

        async def attempt() -> Payment:
            before = await self.load(order["order_id"])
            step = self.step(before, "payment.requested")
            payment = before.value if before else requested(order)
            if step in ("authorize", "capture"):
                if not cards:
                    cards.append(await self.card_of(order["order_id"]))
                if cards[0] is None:
                    return await self.end(order, "card-erased", "the order has ended")
                return await self.call_provider(step, payment, cards[0], before)
            if before and step == "reverse":
                return await self.reverse(before, payment.get("last_failure", "provider unreachable"))
            return payment

        while (payment := await retry_on_conflict(attempt))["status"] not in ("CAPTURED", *ENDED):
            pass
        return payment

    async def end(self, order: dict[str, Any], trigger: str, reason: str) -> Payment:
        before = await self.load(order["order_id"])
        step = self.step(before, trigger)
        if before and step == "reverse":
            return await self.reverse(before, reason)
        payment = before.value if before else requested(order)
        blocked = payment | {"status": "REFUSED", "reason": reason}
        return await self.save(blocked, before) if step == "block" else payment

    async def end_order(self, order: dict[str, Any], reason: str) -> Payment:
        return await retry_on_conflict(lambda: self.end(order, "order-ended", reason))

    async def refund(self, order_id: str) -> Payment | None:
        """The payment after its refund; unchanged if nothing is captured, None if there is nothing to see."""

        async def attempt() -> Payment | None:
            before = await self.load(order_id)
            if not before or before.value["status"] in INTERNAL:
                return None
            refunds = self.step(before, "refund") == "reverse"
            return await self.reverse(before, "refunded by the shop") if refunds else before.value

        return await retry_on_conflict(attempt)

    async def refund_return(self, order_id: str, return_id: str, amount: int) -> Payment | None:
        """The payment after the refund of a return; unchanged if nothing is captured, None without one."""

        async def attempt() -> Payment | None:
            before = await self.load(order_id)
            if not before:
                return None
            payment, returns = before.value, before.value.get("returns", {})
            if return_id in returns or payment["status"] not in ("CAPTURED", "REFUNDED"):
                return payment
            with tracer.start_as_current_span("refund return"):
                call = self.provider.refund_part(order_id, return_id, amount)
                part, refunded = await self.provider.limited(call)
            after = payment | {"returns": returns | {return_id: part}, "refunded": refunded}
            if payment["status"] == "CAPTURED" and refunded >= payment["amount"]:
                after |= {"status": "REFUNDED", "updated_at": now()}
            return await self.save(after, before)

        return await retry_on_conflict(attempt)

    async def publish_outcome(self, payment: Payment) -> None:
        order_id, payment_id = payment["order_id"], payment["payment_id"]
        if payment["status"] == "CAPTURED":
            await self.publish(
                "payment.processed", "", payment, {"order_id": order_id, "payment_id": payment_id}
            )
        else:
            data = {"order_id": order_id, "reason": payment.get("reason", "not paid")}
            await self.publish("payment.failed", "", payment, data)

    async def publish_refund(self, payment: Payment) -> None:
        if payment["refunded"] > 0:
            data = {name: payment[name] for name in ("order_id", "payment_id", "refunded", "currency")}
            await self.publish("payment.refunded", f":{payment['refunded']}", payment, data)

    async def publish(self, kind: str, suffix: str, payment: Payment, data: dict[str, Any]) -> None:
        event = {"specversion": "1.0", "source": "payments", "type": kind}
        event["datacontenttype"] = "application/json"
        event |= {"id": f"{payment['payment_id']}:{kind}{suffix}", "subject": payment["order_id"]}
        await self.sidecar.publish(event | {"time": payment["updated_at"], "data": data})


def requested(order: dict[str, Any]) -> Payment:
    return {
        "payment_id": uuid7(),
        "order_id": order["order_id"],
        "customer_id": order["customer_id"],
        "status": "REQUESTED",
        "amount": order["total"],
        "refunded": 0,
        "currency": order["currency"],
        "attempts": 0,
        "updated_at": now(),
    }


def uuid7() -> str:
    """RFC 9562, 5.7: milliseconds, then random bits."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return str(uuid.UUID(int=number & ~(0xF << 76) & ~(3 << 62) | 7 << 76 | 2 << 62))
