"""Starts the service: `python -m payments`."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import uvicorn

from .app import create_app
from .contract import read_settings
from .processor import Processor
from .provider import Provider
from .sidecar import Sidecar
from .telemetry import log, start_tracing


class Server(uvicorn.Server):
    """A server that ends with 0 on SIGTERM and SIGINT. uvicorn would end by the signal."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        for one in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(one, self.handle_exit, one, None)
        yield


def main() -> None:
    settings = read_settings(os.environ)
    # The SDK of OpenTelemetry reads the environment itself, and an empty variable is an unset one.
    for name in [name for name, value in os.environ.items() if value == ""]:
        del os.environ[name]
    tracing = start_tracing(settings)
    sidecar = Sidecar(settings["DAPR_HTTP_PORT"], settings["DAPR_API_TOKEN"])
    slow, limit = int(settings["SIMULATED_SLOW_CARD_MS"]) / 1000, int(settings["PAYMENT_TIMEOUT_MS"]) / 1000
    provider = Provider(sidecar, slow, limit)
    processor = Processor(sidecar, provider, int(settings["PAYMENT_MAX_ATTEMPTS"]))
    config = uvicorn.Config(
        create_app(sidecar, provider, processor, settings["APP_API_TOKEN"]),
        host=settings["APP_HOST"],
        port=int(settings["APP_PORT"]),
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    log("info", "listening", port=settings["APP_PORT"])
    Server(config).run()
    tracing.shutdown()


main()
