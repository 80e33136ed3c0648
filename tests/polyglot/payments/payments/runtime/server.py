"""Start and stop."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import uvicorn

from .settings import settings
from .telemetry import metrics
from .web import app


class Server(uvicorn.Server):
    """Ends within ten seconds after a signal."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        signal.alarm(10)


def serve() -> None:
    address: dict[str, Any] = {"host": settings.APP_HOST, "port": settings.APP_PORT}
    server = Server(uvicorn.Config(app, **address, log_config=None, access_log=False, timeout_keep_alive=75))
    metrics["active_connections"].labels("http").set_function(lambda: len(server.server_state.connections))
    signal.signal(signal.SIGALRM, lambda *_: os._exit(1))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it has stopped.
        signal.signal(number, lambda *_: sys.exit())
    server.run()
