"""Starts the service: `python -m payments`."""

from . import routes  # noqa: F401
from .runtime.server import serve

serve()
