"""The simulated payment provider. Its ledger is in the state of this service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

from .generated.documents import Entry, StoredLedger
from .runtime.settings import settings
from .runtime.sidecar import Unavailable, again_on_conflict, load, save

DECLINED = {
    "tok_chargeDeclined": "card declined",
    "tok_chargeDeclinedInsufficientFunds": "insufficient funds",
}
APPROVED = ("tok_visa", "tok_timeout", "tok_late", "tok_twice")


class NoAnswer(Unavailable):
    """The provider gave no answer. Its effect is unknown."""


@asynccontextmanager
async def time_limit() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(settings.PAYMENT_TIMEOUT_MS / 1000):
            yield
    except TimeoutError:
        raise NoAnswer("provider timeout") from None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def total(entries: Iterable[Entry]) -> int:
    return sum(entry.amount for entry in entries)


@time_limit()
async def ledger_of(order_id: UUID) -> StoredLedger | None:
    return (await load(f"ledger:{order_id}", StoredLedger))[0]


@again_on_conflict
async def edit(order_id: UUID, change: Callable[[StoredLedger], None]) -> StoredLedger:
    stored, etag = await load(f"ledger:{order_id}", StoredLedger)
    before = stored or StoredLedger(captures=[], refunds=[])
    after = before.model_copy(deep=True)
    change(after)
    if after != before:
        await save(f"ledger:{order_id}", after, etag)
    return after


@time_limit()
async def authorize(order_id: UUID, amount: int, card: str) -> str | None:
    """Returns why the provider declines, or None. So does `capture`."""
    if card not in ("tok_slow", "tok_flaky", "tok_yes_after_no"):
        return None if card in APPROVED else DECLINED.get(card, "unknown card token")

    def note(ledger: StoredLedger) -> None:
        if card == "tok_slow":
            ledger.started_at = min(ledger.started_at or now(), now())
        else:
            ledger.tries = (ledger.tries or 0) + 1

    ledger = await edit(order_id, note)
    if ledger.started_at:
        passed = datetime.now(UTC) - datetime.fromisoformat(ledger.started_at)
        await asyncio.sleep(settings.SIMULATED_SLOW_CARD_MS / 1000 - passed.total_seconds())
    if card == "tok_flaky" and (ledger.tries or 0) < 3:
        raise NoAnswer("provider unreachable")
    return "card declined" if card == "tok_yes_after_no" and ledger.tries == 1 else None


@time_limit()
async def capture(order_id: UUID, amount: int, card: str) -> str | None:
    def record(ledger: StoredLedger) -> None:
        if not ledger.captures and not ledger.voided_at:
            ledger.captures.append(Entry(amount=amount, at=now()))

    if card == "tok_late" and await ledger_of(order_id) is None:
        try:
            await asyncio.Event().wait()
        finally:
            await edit(order_id, record)
    if card == "tok_twice":
        await asyncio.gather(edit(order_id, record), edit(order_id, record))
    if (await edit(order_id, record)).voided_at:
        return "authorization voided"
    if card == "tok_timeout":
        await asyncio.Event().wait()
    return None


@time_limit()
async def refund(order_id: UUID, amount: int | None = None, return_id: UUID | None = None) -> list[Entry]:
    """Refunds a part once per return, or all that is left. Without a capture, voids the authorization."""

    def change(ledger: StoredLedger) -> None:
        left = total(ledger.captures) - total(ledger.refunds)
        part = left if amount is None else min(amount, left)
        if amount is None and not ledger.captures:
            ledger.voided_at = ledger.voided_at or now()
        elif part > 0 and all(entry.return_id != return_id for entry in ledger.refunds if entry.return_id):
            ledger.refunds.append(Entry(amount=part, at=now(), return_id=return_id))

    return (await edit(order_id, change)).refunds
