"""The HTTP API of the sidecar."""

import asyncio
import re
from contextlib import suppress
from typing import Any, TypeVar

import httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.propagate import inject
from pydantic import BaseModel, ValidationError
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random

from .settings import OPENAPI, settings
from .telemetry import fields, log

Model = TypeVar("Model", bound=BaseModel)
STATE = "/v1.0/state/statestore"
LIVE = [variable["name"] for variable in OPENAPI["x-environment"] if variable.get("live")]
client = httpx.AsyncClient(
    base_url=f"http://127.0.0.1:{settings.DAPR_HTTP_PORT}",
    headers={"dapr-api-token": settings.DAPR_API_TOKEN},
    timeout=5,
    trust_env=False,
)
HTTPXClientInstrumentor.instrument_client(client)


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


async def call(method: str, path: str, also: int | None = None, **request: Any) -> httpx.Response:
    """Calls in the trace of the request. Any status but that of a success or `also` raises."""
    headers = request.pop("headers", {}) | {"x-request-id": fields.get({}).get("request_id", "")}
    try:
        response = await client.request(method, path, headers=headers, **request)
    except httpx.HTTPError as error:
        raise Unavailable(f"{method} {path}: {type(error).__name__}") from error
    # An empty 200 comes from a sidecar whose service stops.
    is_empty = response.status_code == 200 and not response.content
    if response.status_code == also or response.is_success and not is_empty:
        return response
    is_conflict = response.status_code == 500 and re.search("etag|no item was updated", response.text, re.I)
    kind = Conflict if is_conflict or response.status_code == 409 else Unavailable
    raise kind(f"{method} {path}: {response.status_code}")


async def load(key: str, model: type[Model]) -> tuple[Model | None, str | None]:
    """Returns the document and its ETag."""
    response = await call("GET", f"{STATE}/{key}")
    if response.status_code == 204:
        return None, None
    return model.model_validate_json(response.content), response.headers["etag"]


async def save(key: str, value: BaseModel, etag: str | None, **metadata: str) -> None:
    """The first write wins. Without an ETag, the document must be new."""
    entry = {"key": key, "value": value.model_dump(mode="json", exclude_none=True), "metadata": metadata}
    entry |= {"options": {"concurrency": "first-write"}} | ({"etag": etag} if etag else {})
    await call("POST", STATE, json=[entry])


async def schedule(name: str, every: str) -> None:
    """The job has the ids of the request, because the scheduler keeps no headers."""
    data = {"x-request-id": fields.get()["request_id"]}
    inject(data)
    job = {"dueTime": every, "schedule": f"@every {every}", "data": data, "overwrite": True}
    await call("POST", f"/v1.0/jobs/{name}", json=job | {"failurePolicy": {"drop": {}}})


async def follow_settings() -> None:
    """Applies live variables. Wrong values change nothing. A deleted one leads back to the environment."""
    environment = settings.model_copy()
    while True:
        await asyncio.sleep(2)
        with suppress(Unavailable), suppress_instrumentation():
            response = await call("GET", "/v1.0/configuration/settings")
            found = response.json() if response.content else {}
            for name in LIVE:
                item = found.get(f"payments/{name}")
                with suppress(ValidationError):
                    setattr(settings, name, item["value"] if item else getattr(environment, name))
            log.setLevel(settings.LOG_LEVEL)
