"""The HTTP API of the sidecar."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import aiohttp
from opentelemetry.instrumentation.aiohttp_client import create_trace_config
from opentelemetry.instrumentation.utils import suppress_instrumentation
from pydantic import BaseModel, ValidationError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from .settings import OPENAPI, SERVICE, settings
from .telemetry import fields, log

Model = TypeVar("Model", bound=BaseModel)
STATE = "/v1.0/state/statestore"
LIVE = [variable["name"] for variable in OPENAPI["x-environment"] if variable.get("live")]
# The sidecar delivers an event again after 8 s without an answer.
EVENT_SECONDS = 7
# Not httpx, whose pool loses connections of cancelled calls until none is left.
client: aiohttp.ClientSession


@asynccontextmanager
async def connect() -> AsyncIterator[None]:
    """Calls are possible inside of this context. A call takes 4 s at most, with the wait for a connection."""
    global client
    async with aiohttp.ClientSession(
        f"http://127.0.0.1:{settings.DAPR_HTTP_PORT}",
        headers={"dapr-api-token": settings.DAPR_API_TOKEN},
        timeout=aiohttp.ClientTimeout(total=4),
        # The sidecar closes an idle connection after 60 s. The client closes first.
        connector=aiohttp.TCPConnector(limit=256, keepalive_timeout=45),
        trace_configs=[create_trace_config()],
    ) as client:
        yield


class Unavailable(Exception):
    """The sidecar, a component, another service or the provider does not answer."""


class Conflict(Unavailable):
    """Another writer saved the document first."""


again_on_conflict = retry(
    retry=retry_if_exception_type(Conflict),
    stop=stop_after_attempt(10),
    wait=wait_random(0, 0.05),
    reraise=True,
)


async def in_time(work: Coroutine[Any, Any, None]) -> None:
    """Cancels the work of an event after `EVENT_SECONDS`. The end may take longer."""
    task = asyncio.create_task(work)
    done, _ = await asyncio.wait([task], timeout=EVENT_SECONDS)
    if not done:
        # No code awaits the task, and asyncio would log its error.
        task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        task.cancel()
        raise Unavailable(f"no end after {EVENT_SECONDS} s")
    await task


async def call(method: str, path: str, also: int | None = None, **request: Any) -> aiohttp.ClientResponse:
    """Calls in the trace of the request. Raises if the status is neither a success nor `also`."""
    headers = request.pop("headers", {}) | {"x-request-id": fields.get({}).get("request_id", "")}
    try:
        response = await client.request(method, path, headers=headers, allow_redirects=False, **request)
        body = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable(f"{method} {path}: {type(error).__name__}") from error
    # An empty 200 comes from a sidecar whose service stops.
    is_empty = response.status == 200 and not body
    if response.status == also or 200 <= response.status < 300 and not is_empty:
        return response
    is_conflict = response.status == 500 and re.search(b"etag|no item was updated", body, re.I)
    kind = Conflict if is_conflict or response.status == 409 else Unavailable
    raise kind(f"{method} {path}: {response.status}")


async def load(key: str, model: type[Model]) -> tuple[Model | None, str | None]:
    """Returns the document and its ETag."""
    response = await call("GET", f"{STATE}/{key}")
    if response.status == 204:
        return None, None
    return model.model_validate_json(await response.read()), response.headers["etag"]


async def save(key: str, value: BaseModel, etag: str | None, **metadata: str) -> None:
    """The first write wins. Without an ETag, the document must be new."""
    entry = {"key": key, "value": value.model_dump(mode="json", exclude_none=True), "metadata": metadata}
    entry |= {"options": {"concurrency": "first-write"}} | ({"etag": etag} if etag else {})
    await call("POST", STATE, json=[entry])


async def follow_settings() -> None:
    """Applies live variables. Wrong values change nothing. A deleted one leads back to the environment."""
    environment = settings.model_copy()
    while True:
        await asyncio.sleep(2)
        with suppress(Unavailable), suppress_instrumentation():
            response = await call("GET", "/v1.0/configuration/settings")
            found = json.loads(await response.read() or "{}")
            for name in LIVE:
                item = found.get(f"{SERVICE}/{name}")
                with suppress(ValidationError):
                    setattr(settings, name, item["value"] if item else getattr(environment, name))
            log.setLevel(settings.LOG_LEVEL)
