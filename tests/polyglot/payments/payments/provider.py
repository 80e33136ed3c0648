"""The simulated payment provider. It keeps its ledger in the state of this service."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from .sidecar import Conflict, Sidecar, T, Unavailable, retry_on_conflict
from .telemetry import now

Ledger = dict[str, Any]
EMPTY: Ledger = {"captures": [], "refunds": []}
DECLINED = {
    "tok_chargeDeclined": "card declined",
    "tok_chargeDeclinedInsufficientFunds": "insufficient funds",
}
APPROVED = {"tok_visa", "tok_timeout", "tok_late", "tok_twice"}


class NoAnswer(Unavailable):
    """The provider gave no answer. Its effect is unknown."""


def total(entries: list[dict[str, Any]]) -> int:
    return sum(entry["amount"] for entry in entries)


class Provider:
    """Each call returns why the provider declines, or None."""

    def __init__(self, sidecar: Sidecar, slow_seconds: float, limit_seconds: float) -> None:
        self.sidecar, self.slow_seconds, self.limit_seconds = sidecar, slow_seconds, limit_seconds

    async def limited(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.limit_seconds):
                return await call
        except TimeoutError:
            raise NoAnswer("provider timeout") from None

    async def ledger(self, order_id: str) -> Ledger | None:
        stored = await self.sidecar.load(f"ledger:{order_id}")
        return stored.value if stored else None

    async def edit(self, order_id: str, change: Callable[[Ledger], Ledger]) -> Ledger:
        async def attempt() -> Ledger:
            stored = await self.sidecar.load(f"ledger:{order_id}")
            before = stored.value if stored else EMPTY
            after = change(before)
            if after != before:
                await self.sidecar.save(f"ledger:{order_id}", after, stored)
            return after

        return await retry_on_conflict(attempt)

    async def authorize(self, order_id: str, amount: int, card: str) -> str | None:
        if card == "tok_slow":
            started = now()

            def join(known: Ledger) -> Ledger:
                has_begun = known.get("started_at", "~") <= started
                return known if has_begun else known | {"started_at": started}

            since = datetime.fromisoformat((await self.edit(order_id, join))["started_at"])
            passed = (datetime.now(UTC) - since).total_seconds()
            await asyncio.sleep(min(self.slow_seconds, max(0, self.slow_seconds - passed)))
            return None
        if card in ("tok_flaky", "tok_yes_after_no"):

            def count(known: Ledger) -> Ledger:
                return known | {"tries": known.get("tries", 0) + 1}

            tries = (await self.edit(order_id, count))["tries"]
            if card == "tok_yes_after_no":
                return "card declined" if tries == 1 else None
            if tries < 3:
                raise NoAnswer("provider unreachable")
            return None
        return None if card in APPROVED else DECLINED.get(card, "unknown card token")

    async def capture(self, order_id: str, amount: int, card: str) -> str | None:
        if card == "tok_late" and await self.ledger(order_id) is None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await self.record(order_id, amount)
                raise
        times = 2 if card == "tok_twice" else 1
        ledger, *_ = await asyncio.gather(*(self.record(order_id, amount) for _ in range(times)))
        if "voided_at" in ledger:
            return "authorization voided"
        if card == "tok_timeout":
            await asyncio.Event().wait()
        return None

    async def record(self, order_id: str, amount: int) -> Ledger:
        entry = {"amount": amount, "at": now()}
        first = EMPTY | {"captures": [entry]}
        try:  # Most orders have no ledger yet.
            await self.sidecar.save(f"ledger:{order_id}", first)
            return first
        except Conflict:

            def change(known: Ledger) -> Ledger:
                is_done = known["captures"] or "voided_at" in known
                return known if is_done else known | {"captures": [entry]}

            return await self.edit(order_id, change)

    async def refund(self, order_id: str) -> int:
        """Gives back what was captured, or voids the authorization. Returns the total given back."""

        def change(known: Ledger) -> Ledger:
            if not known["captures"]:
                return known if "voided_at" in known else known | {"voided_at": now()}
            left = total(known["captures"]) - total(known["refunds"])
            return known | {"refunds": [*known["refunds"], {"amount": left, "at": now()}]} if left else known

        return total((await self.edit(order_id, change))["refunds"])

    async def refund_part(self, order_id: str, return_id: str, amount: int) -> tuple[int, int]:
        """Gives back a part, once per return. Returns what was given back for it, and in total."""

        def of_return(ledger: Ledger) -> list[dict[str, Any]]:
            return [entry for entry in ledger["refunds"] if entry.get("return_id") == return_id]

        def change(known: Ledger) -> Ledger:
            part = min(amount, total(known["captures"]) - total(known["refunds"]))
            if part == 0 or of_return(known):
                return known
            return known | {
                "refunds": [*known["refunds"], {"amount": part, "at": now(), "return_id": return_id}]
            }

        ledger = await self.edit(order_id, change)
        return total(of_return(ledger)), total(ledger["refunds"])
