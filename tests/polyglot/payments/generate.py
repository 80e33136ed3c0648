"""Writes payments/generated from the documents: `python generate.py`. `--check` only compares."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
OPENAPI = json.loads((FOLDER / "contract/openapi.json").read_text())
ASYNCAPI = json.loads((FOLDER / "contract/asyncapi.json").read_text())


def setting(variable: dict[str, Any]) -> dict[str, Any]:
    """The schema of a variable as it is parsed. Its description is the rule for people."""
    schema = {"type": "integer", **variable["bounds"]} if "bounds" in variable else variable["schema"]
    default = variable.get("default")
    if default is not None:
        schema = schema | {"default": default if "bounds" in variable else str(default)}
    return schema | {"description": variable["rule"], "examples": [variable["example"]]}


def body_of(path: str, method: str) -> Any:
    return OPENAPI["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]


variables = OPENAPI["x-environment"]
stored = {document["key"].partition(":")[0]: document["schema"] for document in OPENAPI["x-state"]}
messages = {name: message["payload"] for name, message in ASYNCAPI["components"]["messages"].items()}
shared: dict[str, Any] = {}


def simplified(schema: Any) -> Any:
    """Equal parts become one class. The type of UUIDs needs no pattern."""
    if isinstance(schema, list):
        return [simplified(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = "pattern" if schema.get("format") == "uuid" else None
    simple = {name: simplified(part) for name, part in schema.items() if name != dropped}
    refs = ({"$ref": f"#/components/schemas/{name}"} for name, part in shared.items() if part == simple)
    return next(refs, simple)


shared["Entry"] = simplified(stored["ledger"]["properties"]["captures"]["items"])
shared["Order"] = simplified(messages["payment.requested"]["properties"]["data"]["properties"]["order"])
environment = {
    "type": "object",
    "properties": {variable["name"]: setting(variable) for variable in variables},
    "required": [variable["name"] for variable in variables if variable["required"]],
}
documents = OPENAPI["components"]["schemas"] | {
    "RefundRequest": body_of("/api/payments/{order_id}/refund", "post"),
    "ReturnRequest": body_of("/refunds/{order_id}/{return_id}", "put"),
    "StoredPayment": stored["payment"],
    "StoredLedger": stored["ledger"],
    "StoredResponse": stored["idempotency"],
}
# A receiver ignores members of an event that the schema does not have.
for name, payload in messages.items():
    for closed in payload, payload["properties"]["data"]:
        closed.pop("additionalProperties", None)
    documents[name.title().replace(".", "")] = payload

# A number in JSON is no text, but every variable is one.
for file, schemas, options in (
    ("environment", {"Environment": environment}, []),
    ("documents", shared | simplified(documents), ["--strict-types", "int"]),
):
    document = {"openapi": "3.1.0", "info": {}, "paths": {}, "components": {"schemas": schemas}}
    output = ["--output", str(FOLDER / f"payments/generated/{file}.py")]
    command = [str(Path(sys.executable).with_name("datamodel-codegen")), *output, *options, *sys.argv[1:]]
    subprocess.run(command, input=json.dumps(document), text=True, check=True, cwd=FOLDER)
