"""Adds tokens and existing ids to the requests of Schemathesis. The ids come from the public routes.

Links in the document lead from a response to the next request. They know neither tokens nor passwords, and they use up
resources that can be deleted or cancelled only once.
https://schemathesis.readthedocs.io/en/stable/guides/extending/
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any
from uuid import uuid4
from zlib import crc32

import requests
import schemathesis
from requests.adapters import HTTPAdapter
from schemathesis import AuthContext, Case, HookContext
from schemathesis.core import NOT_SET
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.transport import Response
from schemathesis.generation.meta import TestPhase
from urllib3.util import Retry

Json = dict[str, Any]

API = os.environ["FUZZ_API"]
# The caller: `role`, `token` and `user_id`.
CALLER: Json = json.loads(os.environ["FUZZ_CALLER"])
IS_ADMIN: bool = CALLER["role"] == "admin"
PASSWORD = "correct horse"
PRODUCT = "sticker-boat"
TIMEOUT_SECONDS = 20
sequence = count()

# Retries a 503 after its `Retry-After`.
retry = Retry(5, status_forcelist=[503], allowed_methods=None, raise_on_status=False)
session = requests.Session()
session.mount("http://", HTTPAdapter(max_retries=retry))


def call(method: str, path: str, body: Json | None = None, token: str | None = CALLER["token"]) -> Json:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    response = session.request(method, API + path, json=body, headers=headers, timeout=TIMEOUT_SECONDS)
    response.raise_for_status()
    return response.json()


@cache
def ids_in(path: str, field: str) -> list[str]:
    """The ids in a list, at the time of the first call."""
    ids = [item[field] for item in call("GET", path)["items"]]
    if not ids:
        raise RuntimeError(f"the list at {path} is empty")
    return ids


@cache
def second_page(path: str) -> str:
    cursor: str = call("GET", f"{path}?limit=1")["next_cursor"]
    return cursor


def one_of(path: str, field: str) -> str:
    ids = ids_in(path, field)
    return ids[next(sequence) % len(ids)]


def new_email() -> str:
    return f"fuzz-{uuid4()}@example.com"


def new_account() -> Json:
    return call("POST", "/api/users/register", {"email": new_email(), "password": PASSWORD, "name": "Ada"}, None)


@cache
def login_account() -> Json:
    """The account for logins and logouts, which no request changes."""
    return new_account()


def new_session(account: Json) -> Json:
    return call("POST", "/api/users/login", {"email": account["email"], "password": PASSWORD}, None)


def new_order() -> str:
    return call("POST", "/api/orders", {"product_id": PRODUCT, "quantity": 1})["order_id"]


CHANGES_ACCOUNT = {"PUT /api/users/{id}", "DELETE /api/users/{id}"}
account_of: dict[str, str] = {}


@schemathesis.auth(refresh_interval=None)
class Token:
    def get(self, case: Case, context: AuthContext) -> str:
        label = context.operation.label
        if label == "POST /api/users/logout":
            return new_session(login_account())["access_token"]
        if IS_ADMIN or label not in CHANGES_ACCOUNT:
            return CALLER["token"]
        # A customer may change and delete only the account of the token.
        account = new_account()
        token: str = new_session(account)["access_token"]
        account_of[f"Bearer {token}"] = account["user_id"]
        return token

    def set(self, case: Case, data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


def account_to_change(case: Case) -> str:
    if IS_ADMIN:
        return new_account()["user_id"]
    return account_of.get(case.headers.get("Authorization", ""), CALLER["user_id"])


def order_in(status: str) -> str:
    return one_of(f"/api/orders?limit=100&status={status}", "order_id")


def order_for_status(case: Case) -> str:
    """An order that has the requested status, or can still get it."""
    status = case.body.get("status") if isinstance(case.body, dict) else None
    ended = status in ("DELIVERED", "CANCELLED", "REJECTED", "PAYMENT_FAILED")
    return order_in(status) if ended else new_order()


# The values of path variables.
SUBJECTS: dict[str, Callable[[Case], str]] = {
    "GET /api/orders/{id}": lambda _: one_of("/api/orders", "order_id"),
    "GET /api/orders/{id}/events": lambda _: one_of("/api/orders", "order_id"),
    "GET /api/orders/{id}/stream": lambda _: one_of("/api/orders", "order_id"),
    "POST /api/orders/{id}/cancel": lambda _: new_order(),
    "PUT /api/orders/{id}/status": order_for_status,
    "GET /api/payments/ledger/{order_id}": lambda _: order_in("DELIVERED"),
    "POST /api/payments/{order_id}/refund": lambda _: order_in("DELIVERED"),
    "GET /api/inventory/{product_id}": lambda _: one_of("/api/inventory", "product_id"),
    "PUT /api/inventory/{product_id}": lambda _: one_of("/api/inventory", "product_id"),
    "POST /api/inventory/{product_id}/restock": lambda _: one_of("/api/inventory", "product_id"),
    "GET /api/users/{id}": lambda _: CALLER["user_id"],
    "PUT /api/users/{id}": account_to_change,
    "DELETE /api/users/{id}": account_to_change,
    "GET /api/customers/{customer_id}/totals": lambda _: CALLER["user_id"],
    "GET /api/admin/dead-letters/{id}": lambda _: one_of("/api/admin/dead-letters", "dead_letter_id"),
    "POST /api/admin/dead-letters/{id}/redrive": lambda _: one_of("/api/admin/dead-letters", "dead_letter_id"),
}

# Body fields that cannot be generated.
BODIES: dict[str, Callable[[Json], Json]] = {
    "POST /api/orders": lambda _: {"product_id": PRODUCT, "quantity": 1 + next(sequence) % 3},
    "POST /api/users/register": lambda body: body | {"email": new_email()},
    "POST /api/users/login": lambda _: {"email": login_account()["email"], "password": PASSWORD},
    "POST /api/users/token": lambda body: body | {"refresh_token": new_session(login_account())["refresh_token"]},
    "PUT /api/users/{id}": lambda body: body
    | ({"email": new_email()} if "email" in body else {})
    | ({"current_password": PASSWORD} if {"email", "password"} & body.keys() else {}),
}


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: Json) -> None:
    """Adds links to orders. Sequences begin with operations without ids, and an optional `customer_id` would exclude orders."""
    links = raw_schema["paths"]["/api/inventory"]["get"]["responses"]["200"]["links"]
    for operation in ("postOrders", "getOrders"):
        links[operation] = {"operationId": operation}


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: Json) -> None:
    meta = case.meta
    label = case.operation.label
    if meta is None or case.method != case.operation.method.upper():
        return
    # In a sequence, links provide the ids. But changing an account that a link leads to would break the run.
    in_sequence = meta.phase.name == TestPhase.STATEFUL
    needs_subject = label in CHANGES_ACCOUNT if in_sequence else label in SUBJECTS
    generated = (case.path_parameters, case.query, None if case.body is NOT_SET else case.body)
    # Outside of sequences, a quarter stays as generated. The seed determines which.
    if not in_sequence and crc32(repr(generated).encode()) % 4 == 0:
        return
    if needs_subject and not meta.is_negative_at(ParameterLocation.PATH):
        (variable,) = case.path_parameters
        case.path_parameters[variable] = SUBJECTS[label](case)
    if label in BODIES and not meta.is_negative_at(ParameterLocation.BODY):
        case.body = BODIES[label](case.body)
    if not in_sequence and "cursor" in case.query and not meta.is_negative_at(ParameterLocation.QUERY):
        case.query["cursor"] = second_page(case.path)
    if not meta.is_negative_at(ParameterLocation.HEADER):
        # A generated If-Match matches nothing, and a generated key is soon a used one.
        case.headers.pop("If-Match", None)
        case.headers.pop("Idempotency-Key", None)


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """On a busy machine the system responds with 503 and Retry-After. It is a failure only if a retry does not help."""
    if response.status_code != 503 or "retry-after" not in response.headers:
        return True
    return session.send(response.request, timeout=TIMEOUT_SECONDS).status_code >= 500
