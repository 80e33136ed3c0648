"""The documents of the service, and checks of requests, events and settings against them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.protocols import Validator

FOLDER = Path(__file__).parent.parent / "contract"
OPENAPI: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_text())
ASYNCAPI: dict[str, Any] = json.loads((FOLDER / "asyncapi.json").read_text())

EVENTS = {
    operation["x-http"]["path"].removeprefix("/events/"): Draft7Validator(
        ASYNCAPI["components"]["messages"][operation["channel"]["$ref"].removeprefix("#/channels/")][
            "payload"
        ]
    )
    for operation in ASYNCAPI["operations"].values()
    if operation["action"] == "receive"
}
ORDER_ID = Draft202012Validator(OPENAPI["paths"]["/api/payments"]["get"]["parameters"][0]["schema"])
REFUND = OPENAPI["paths"]["/api/payments/{order_id}/refund"]["post"]
RETURN = OPENAPI["paths"]["/refunds/{order_id}/{return_id}"]["put"]
REFUND_BODY, RETURN_BODY = (
    Draft202012Validator(route["requestBody"]["content"]["application/json"]["schema"])
    for route in (REFUND, RETURN)
)
PUBLIC = OPENAPI["components"]["schemas"]["Payment"]["properties"]


def wrong_fields(schema: Validator, value: object) -> list[dict[str, str]]:
    """The `errors` of a problem document; empty if the value is valid."""
    found: dict[str, str] = {}
    for error in schema.iter_errors(value):
        path = [str(part) for part in error.absolute_path]
        names = [""]
        if error.validator == "additionalProperties":
            names = [name for name in error.instance if name not in error.schema.get("properties", {})]
        if error.validator == "required":
            names = [name for name in error.validator_value if name not in error.instance]
        found |= {".".join([*path, *([name] if name else [])]): error.message for name in names}
    return [{"field": field, "message": message} for field, message in found.items()]


def read_settings(env: Mapping[str, str]) -> dict[str, str]:
    """All settings with their defaults. Wrong ones end the process. No value is shown: it may be a secret."""
    settings, problems = {}, []
    for variable in OPENAPI["x-environment"]:
        name, text = variable["name"], env.get(variable["name"], "")
        if text == "":
            if variable["required"]:
                problems.append(f"{name}: is missing. For example: {name}={variable.get('example', '')}")
            settings[name] = str(variable.get("default", ""))
            continue
        bounds = variable.get("bounds", {})
        valid = Draft202012Validator(variable.get("schema", {})).is_valid(text)
        if not valid or (bounds and not bounds["minimum"] <= float(text) <= bounds["maximum"]):
            problems.append(f"{name}: {variable['rule']}. For example: {name}={variable['example']}")
        settings[name] = text
    if problems:
        print("The environment variables are wrong:", *problems, sep="\n  ", file=sys.stderr)
        sys.exit(1)
    return settings
