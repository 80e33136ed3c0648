"""Idempotency-Key."""

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

from fastapi import HTTPException, Response
from fastapi.responses import JSONResponse

from ..generated.documents import StoredResponse
from .sidecar import Unavailable, load, save
from .telemetry import log

OPERATIONS = UUID("c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e")
running: set[UUID] = set()


async def once(
    caller: UUID, name: str, key: str, request: dict[str, str], work: Callable[[], Awaitable[Any]]
) -> Response:
    """Executes a request once per key and caller. `work` returns the body of the response."""
    key = re.sub(r'^"(.*)"$', r"\1", key)
    if not re.fullmatch(r"[!-~]{1,255}", key):
        raise HTTPException(400, "invalid-idempotency-key")
    operation = uuid5(OPERATIONS, f"{caller} {name} {key}")
    content = json.dumps(request, separators=(",", ":"), sort_keys=True).encode()
    fingerprint = urlsafe_b64encode(hmac.digest(key.encode(), content, "sha256")).decode().rstrip("=")
    if operation in running:
        raise HTTPException(409, "idempotency-key-in-use")
    running.add(operation)
    try:
        stored, _ = await load(f"idempotency:{operation}", StoredResponse)
        if stored is None:
            body = await work()
            response = StoredResponse(status=200, body=body, fingerprint=fingerprint)
            try:
                await save(f"idempotency:{operation}", response, None, ttlInSeconds="86400")
            except Unavailable as error:
                log.warning("storing the response failed", extra={"error": str(error)})
            return JSONResponse(body)
        if stored.fingerprint != fingerprint:
            raise HTTPException(422, "idempotency-key-reused")
        return JSONResponse(
            stored.body, stored.status, {"idempotent-replayed": "true"} | (stored.headers or {})
        )
    finally:
        running.discard(operation)
