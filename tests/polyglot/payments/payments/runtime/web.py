"""What holds for every request: access, problem documents, and one line in the log."""

import asyncio
import hmac
import json
import random
import re
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ..generated.documents import Problem
from .settings import DOCUMENTS, OPENAPI, settings
from .sidecar import Unavailable, call, connect, follow_settings
from .telemetry import fields, log, metrics

PROBES = ("/healthz", "/readyz", "/metrics")
OPEN = (*PROBES, "/openapi.json", "/asyncapi.json")
INVALID = {
    "header": (401, "unauthenticated"),
    "path": (404, "not-found"),
    "query": (400, "invalid-query"),
    "body": (422, "invalid-input"),
}
# The descriptions of responses: `slug`: text.
DETAILS = dict(re.findall(r"`([a-z-]+)`: ([^`\"]+\.)", json.dumps(OPENAPI["paths"])))


async def answer_error(request: Request, error: Exception) -> Response:
    """Every error is a problem document. The detail of an HTTPException is the slug."""
    errors = None
    match error:
        case HTTPException():
            status, slug = error.status_code, error.detail
            if slug not in DETAILS:
                slug = HTTPStatus(status).phrase.lower().replace(" ", "-")
        case RequestValidationError() if request.url.path.startswith("/events/"):
            fields.get()["outcome"] = "DROP"
            return JSONResponse({"status": "DROP"})
        case RequestValidationError():
            found = error.errors()
            status, slug = INVALID[found[0]["loc"][0]]
            if found[0]["type"] == "json_invalid":
                status, slug = 400, "malformed-json"
            elif slug.startswith("invalid-"):
                errors = [
                    {"field": ".".join(map(str, one["loc"][1:])), "message": one["msg"]} for one in found
                ]
        case Unavailable():
            status, slug = 503, "unavailable"
            log.error("request failed", extra={"error": str(error)})
        case _:
            # The text of an unknown error may have personal data.
            status, slug, stack = 500, "internal-error", traceback.format_tb(error.__traceback__)
            log.error("request failed", extra={"error": type(error).__name__, "stack": stack})
    title = HTTPStatus(status).phrase
    problem = Problem(
        type=f"urn:sidecart:problem:{slug}",
        title=title,
        status=status,
        detail=DETAILS.get(slug, f"{title}."),
        instance=request.url.path,
        request_id=fields.get()["request_id"],
        errors=errors,
    )
    retry = {"retry-after": "1"} if slug in ("unavailable", "idempotency-key-in-use") else {}
    return JSONResponse(problem.model_dump(exclude_none=True), status, retry, "application/problem+json")


async def check(request: Request) -> None:
    """Only the sidecar may call, with JSON of at most 100 KB, and each parameter once."""
    token, body = request.headers.get("dapr-api-token", ""), await request.body()
    if not hmac.compare_digest(token.encode(), settings.APP_API_TOKEN.encode()):
        raise HTTPException(401, "unauthenticated")
    if len(body) > 100 * 1024:
        raise HTTPException(413, "too-large")
    if body and not re.search(r"[/+]json\b", request.headers.get("content-type", "")):
        raise HTTPException(415, "unsupported-media-type")
    given = Counter(name for name, _ in request.query_params.multi_items())
    if twice := [name for name, count in given.items() if count > 1]:
        wrong = {"type": "twice", "msg": "is given twice"}
        raise RequestValidationError([wrong | {"loc": ("query", name)} for name in twice])


async def observe(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Gives every response its headers. Logs and counts each request but probes at its end."""
    started, path, request_id = time.perf_counter(), request.url.path, request.headers.get("x-request-id", "")
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", request_id):
        request_id = str(uuid4())
    known = {"caller_id": "x-caller-id", "caller_app": "dapr-caller-app-id"}
    callers = {name: request.headers[header] for name, header in known.items() if header in request.headers}
    fields.set({"request_id": request_id} | callers)
    try:
        if path not in OPEN:
            await check(request)
        response = await call_next(request)
    except Exception as error:
        response = await answer_error(request, error)
    response.headers["x-request-id"] = request_id
    response.headers.setdefault("cache-control", "no-store")
    if path in PROBES:
        return response
    status, seconds = response.status_code, time.perf_counter() - started
    route = re.sub(r"\{(\w+)\}", r":\1", getattr(request.scope.get("route"), "path", "none"))
    labels = ("http", request.method, route, str(status))
    metrics["requests_total"].labels(*labels).inc()
    metrics["request_duration_seconds"].labels(*labels).observe(seconds)
    outcome = "ok" if status < 400 else "refused" if status < 500 else "failed"
    outcome = fields.get().setdefault("outcome", outcome)
    if outcome not in ("ok", "SUCCESS") or random.random() < float(settings.LOG_SAMPLE_RATIO):
        about = {"method": request.method, "route": route, "path": path, "status": status}
        log.info("request completed", extra=about | {"duration_ms": round(seconds * 1000, 1)})
    return response


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with connect():
        following = asyncio.create_task(follow_settings())
        yield
        following.cancel()


app = FastAPI(openapi_url=None, lifespan=lifespan)
for error in (HTTPException, RequestValidationError, Unavailable):
    app.add_exception_handler(error, answer_error)
app.middleware("http")(observe)
FastAPIInstrumentor.instrument_app(
    app, excluded_urls="healthz,readyz,metrics", exclude_spans=["send", "receive"]
)


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/readyz")
async def readyz() -> dict[str, str]:
    await call("GET", "/v1.0/healthz/outbound")
    return {"status": "ready"}


@app.get("/metrics")
async def scrape() -> Response:
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


@app.get("/openapi.json")
@app.get("/asyncapi.json")
async def document(request: Request) -> FileResponse:
    return FileResponse(DOCUMENTS / request.url.path[1:])


class Caller(BaseModel):
    x_caller_id: UUID
    x_caller_role: Literal["customer", "admin"]


async def admin(caller: Annotated[Caller, Header()]) -> UUID:
    """The id of the caller, who must be an administrator."""
    if caller.x_caller_role != "admin":
        raise HTTPException(403, "forbidden")
    return caller.x_caller_id
