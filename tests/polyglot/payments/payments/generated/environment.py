# Written by generate.py.

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Environment(BaseModel):
    APP_PORT: Annotated[
        int,
        Field(
            description='must be a whole number from 1 to 65535, in digits without a unit',
            examples=['8080'],
            ge=1,
            le=65535,
        ),
    ]
    APP_HOST: Annotated[
        str,
        Field(
            description='must be an IP address or a host name, without scheme, brackets and port',
            examples=['127.0.0.1'],
        ),
    ] = '127.0.0.1'
    DAPR_HTTP_PORT: Annotated[
        int,
        Field(
            description='must be a whole number from 1 to 65535, in digits without a unit',
            examples=['3500'],
            ge=1,
            le=65535,
        ),
    ] = 3500
    DAPR_METRICS_PORT: Annotated[
        int,
        Field(
            description='must be a whole number from 1 to 65535, in digits without a unit',
            examples=['9090'],
            ge=1,
            le=65535,
        ),
    ] = 9090
    DAPR_API_TOKEN: Annotated[
        str,
        Field(
            description='must consist of visible ASCII characters, without blanks or line breaks',
            examples=['the-output-of-openssl-rand-hex-24'],
            pattern='^[\\x21-\\x7e]+$',
        ),
    ]
    APP_API_TOKEN: Annotated[
        str,
        Field(
            description='must consist of visible ASCII characters, without blanks or line breaks',
            examples=['the-output-of-openssl-rand-hex-24'],
            pattern='^[\\x21-\\x7e]+$',
        ),
    ]
    LOG_LEVEL: Annotated[
        Literal['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
        Field(
            description='Invalid option: expected one of "fatal"|"error"|"warn"|"info"|"debug"|"trace"|"silent"',
            examples=['info'],
        ),
    ] = 'info'
    LOG_SAMPLE_RATIO: Annotated[
        str,
        Field(
            description='must be a number from 0 to 1, such as 0.1',
            examples=['0.1'],
            pattern='^(0|1|0?\\.\\d{1,9}|1\\.0+)$',
        ),
    ] = '1'
    ZIPKIN_ENDPOINT: Annotated[
        str | None,
        Field(
            description='must be a URL: http:// or https://, a host, and what may follow; special characters are percent-encoded',
            examples=['http://localhost:9411/api/v2/spans'],
        ),
    ] = None
    TRACES_PER_SECOND: Annotated[
        int,
        Field(
            description='must be a whole number from 0 to 1000000, in digits without a unit',
            examples=['10'],
            ge=0,
            le=1000000,
        ),
    ] = 10
    OTEL_SERVICE_NAME: Annotated[
        str | None,
        Field(
            description='must consist of 1 to 64 letters, digits, dots, hyphens and underscores',
            examples=['orders'],
            pattern='^[\\w.-]{1,64}$',
        ),
    ] = None
    OTEL_TRACES_SAMPLER: Annotated[
        Literal['parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'] | None,
        Field(
            description='Invalid option: expected one of "parentbased_always_on"|"parentbased_always_off"|"parentbased_traceidratio"',
            examples=['parentbased_traceidratio'],
        ),
    ] = None
    OTEL_TRACES_SAMPLER_ARG: Annotated[
        str | None,
        Field(
            description='must be a number from 0 to 1, such as 0.1',
            examples=['0.1'],
            pattern='^(0|1|0?\\.\\d{1,9}|1\\.0+)$',
        ),
    ] = None
    OTEL_EXPORTER_OTLP_ENDPOINT: Annotated[
        str | None,
        Field(
            description='must be http:// or https://, a host, and a port unless it is the default port',
            examples=['http://localhost:4318'],
        ),
    ] = None
    OTEL_EXPORTER_OTLP_HEADERS: Annotated[
        str | None,
        Field(
            description='must be pairs like name=value, with commas between them', examples=['api-key=4711']
        ),
    ] = None
    PAYMENT_TIMEOUT_MS: Annotated[
        int,
        Field(
            description='must be a whole number from 1 to 60000, in digits without a unit',
            examples=['5000'],
            ge=1,
            le=60000,
        ),
    ] = 5000
    PAYMENT_MAX_ATTEMPTS: Annotated[
        int,
        Field(
            description='must be a whole number from 1 to 1000, in digits without a unit',
            examples=['4'],
            ge=1,
            le=1000,
        ),
    ] = 4
    SIMULATED_SLOW_CARD_MS: Annotated[
        int,
        Field(
            description='must be a whole number from 0 to 600000, in digits without a unit',
            examples=['8000'],
            ge=0,
            le=600000,
        ),
    ] = 8000
