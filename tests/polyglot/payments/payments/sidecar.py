"""The sidecar's HTTP API: state, events, invocation and jobs."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from opentelemetry.propagate import inject

from .telemetry import fields

STATE = "/v1.0/state/statestore"
JSON = {"content-type": "application/json"}


class Unavailable(Exception):
    """The sidecar, a component, another service or the provider does not answer."""


class Conflict(Exception):
    """Another writer saved the document first."""


@dataclass(frozen=True)
class Stored:
    value: dict[str, Any]
    etag: str


def outgoing_headers() -> dict[str, str]:
    headers: dict[str, str] = {}
    inject(headers)
    return headers | {"x-request-id": fields().get("request_id", "")}


T = TypeVar("T")


async def retry_on_conflict(attempt: Callable[[], Awaitable[T]]) -> T:
    for tries in range(1, 10):
        try:
            return await attempt()
        except Conflict:
            await asyncio.sleep(random.random() * 0.01 * tries)
    return await attempt()


class Sidecar:
    def __init__(self, port: str, token: str) -> None:
        self.client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"dapr-api-token": token},
            timeout=15,
            trust_env=False,
        )

    async def call(
        self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        try:
            return await self.client.request(
                method, path, headers=(headers or {}) | outgoing_headers(), **more
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"{method} {path}: {type(error).__name__}") from error

    async def succeed(self, method: str, path: str, **more: Any) -> httpx.Response:
        response = await self.call(method, path, **more)
        if response.status_code >= 300:
            raise Unavailable(f"{method} {path}: {response.status_code}")
        return response

    async def load(self, key: str) -> Stored | None:
        response = await self.succeed("GET", f"{STATE}/{key}")
        return None if response.status_code == 204 else Stored(response.json(), response.headers["etag"])

    async def save(self, key: str, value: dict[str, Any], before: Stored | None = None, ttl: int = 0) -> None:
        entry: dict[str, Any] = {"key": key, "value": value, "options": {"concurrency": "first-write"}}
        entry |= {"etag": before.etag} if before else {}
        entry |= {"metadata": {"ttlInSeconds": str(ttl)}} if ttl else {}
        response = await self.call("POST", STATE, json=[entry])
        text = response.text.lower()
        if response.status_code == 409 or (
            response.status_code == 500 and ("etag" in text or "no item was updated" in text)
        ):
            raise Conflict(key)
        if response.status_code >= 300:
            raise Unavailable(f"save: {response.status_code}")

    async def publish(self, event: dict[str, Any]) -> None:
        headers = {"content-type": "application/cloudevents+json"}
        path = f"/v1.0/publish/pubsub/{event['type']}"
        await self.succeed("POST", path, headers=headers, content=json.dumps(event))

    async def get(self, app: str, path: str) -> httpx.Response:
        """Invokes another service. An empty 200 comes from a sidecar whose service stops."""
        response = await self.call("GET", path, headers={"dapr-app-id": app})
        if response.status_code == 200 and not response.content:
            raise Unavailable(f"{app} is stopping")
        return response

    async def schedule(self, name: str, job: dict[str, Any]) -> None:
        job |= {"data": outgoing_headers(), "overwrite": True, "failurePolicy": {"drop": {}}}
        await self.succeed("POST", f"/v1.0/jobs/{name}", json=job, timeout=1)

    async def delete_job(self, name: str) -> None:
        await self.succeed("DELETE", f"/v1.0/jobs/{name}", timeout=1)

    async def is_ready(self) -> bool:
        try:
            return (await self.call("GET", "/v1.0/healthz/outbound")).status_code == 204
        except Unavailable:
            return False
