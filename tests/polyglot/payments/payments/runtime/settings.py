"""The environment. `sidecar.follow_settings` changes its live variables while the service runs."""

import json
import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ..generated.environment import Environment

DOCUMENTS = Path(__file__).parents[2] / "contract"
OPENAPI: dict[str, Any] = json.loads((DOCUMENTS / "openapi.json").read_text())
SERVICE: str = OPENAPI["info"]["title"].removeprefix("Sidecart: ")


class Settings(Environment, BaseSettings):
    model_config = SettingsConfigDict(case_sensitive=True, env_ignore_empty=True, validate_assignment=True)


try:
    settings = Settings()
except ValidationError as error:
    # Names and rules only: a value may be a secret.
    for name in (str(wrong["loc"][0]) for wrong in error.errors()):
        rule = Settings.model_fields[name]
        print(f"{name}: {rule.description}. For example: {rule.examples}", file=sys.stderr)
    sys.exit(1)
