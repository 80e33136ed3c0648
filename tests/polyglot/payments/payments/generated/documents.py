# Written by generate.py.

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictInt
from typing_extensions import TypeAliasType


class Entry(BaseModel):
    amount: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    at: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$'
        ),
    ]
    return_id: UUID | None = None


class Item(BaseModel):
    product_id: Annotated[str, Field(pattern='^[A-Za-z0-9_-]{1,64}$')]
    name: str
    quantity: Annotated[StrictInt, Field(ge=1, le=9007199254740991)]
    unit_price: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]


class Item1(BaseModel):
    product_id: Annotated[str, Field(pattern='^[A-Za-z0-9_-]{1,64}$')]
    quantity: Annotated[StrictInt, Field(ge=1, le=9007199254740991)]


class ReturnedItem(BaseModel):
    return_id: UUID
    items: list[Item1]


class Order(BaseModel):
    order_id: UUID
    customer_id: UUID
    status: Literal['PENDING', 'RESERVED', 'PAID', 'SHIPPED', 'DELIVERED', 'REJECTED', 'PAYMENT_FAILED', 'CANCELLED', 'EXPIRED']
    items: list[Item]
    total: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    currency: Annotated[str, Field(pattern='^[A-Z]{3}$')]
    reason: str | None = None
    tracking_number: str | None = None
    refunded: Annotated[
        StrictInt | None,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ] = None
    returned: list[ReturnedItem] | None = None
    delivered_at: Annotated[
        str | None,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$'
        ),
    ] = None
    version: Annotated[StrictInt, Field(ge=1, le=9007199254740991)]
    created_at: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$'
        ),
    ]
    updated_at: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$'
        ),
    ]


class Error(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    field: str
    message: str


class Problem(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    type: str
    title: str
    status: Annotated[StrictInt, Field(ge=-9007199254740991, le=9007199254740991)]
    detail: str
    instance: str
    request_id: str
    errors: list[Error] | None = None


class Payment(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    payment_id: UUID
    order_id: UUID
    status: Literal['AUTHORIZED', 'CAPTURED', 'FAILED', 'REFUNDED']
    amount: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    refunded: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    currency: Annotated[str, Field(pattern='^[A-Z]{3}$')]
    reason: str | None = None


class PaymentList(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    items: list[Payment]
    next_cursor: str | None


class Capture(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    amount: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    at: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$'
        ),
    ]
    return_id: UUID | None = None


class Refund(Capture):
    pass


class Ledger(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    order_id: UUID
    captured: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    refunded: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    captures: list[Capture]
    refunds: list[Refund]


class RefundRequest(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )


class ReturnRequest(BaseModel):
    model_config = ConfigDict(
        extra='forbid',
    )
    amount: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]


ReturnsAdditionalProperty = TypeAliasType(
    "ReturnsAdditionalProperty",
    Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ],
)


class StoredPayment(BaseModel):
    payment_id: UUID
    order_id: UUID
    status: Literal['REQUESTED', 'AUTHORIZED', 'CAPTURED', 'FAILED', 'REFUNDED', 'REFUSED']
    amount: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    refunded: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    currency: Annotated[str, Field(pattern='^[A-Z]{3}$')]
    reason: str | None = None
    customer_id: UUID
    attempts: Annotated[
        StrictInt,
        Field(description='Calls to the provider that were not answered.', ge=0, le=9007199254740991),
    ]
    last_failure: Annotated[str | None, Field(description='Why the last of them was not answered.')] = None
    updated_at: Annotated[
        str,
        Field(
            description='The time at which the payment reached this status.',
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$',
        ),
    ]
    returns: Annotated[
        dict[str, ReturnsAdditionalProperty] | None,
        Field(description='What was given back for each return, by its id.'),
    ] = None


class StoredLedger(BaseModel):
    captures: list[Entry]
    refunds: list[Entry]
    started_at: Annotated[
        str | None,
        Field(
            description='The time of the first call for `tok_slow`.',
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$',
        ),
    ] = None
    tries: Annotated[
        StrictInt | None,
        Field(
            description='The number of calls for `tok_flaky` and `tok_yes_after_no`.',
            ge=-9007199254740991,
            le=9007199254740991,
        ),
    ] = None
    voided_at: Annotated[
        str | None,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z))$'
        ),
    ] = None


class StoredResponse(BaseModel):
    status: Annotated[StrictInt, Field(ge=200, le=299)]
    headers: dict[str, str] | None = None
    body: Any
    fingerprint: Annotated[
        str,
        Field(
            description='HMAC-SHA-256 of the request as JSON with sorted members, with the Idempotency-Key as its key, as base64url without padding. `x-operation` of the route lists the members.'
        ),
    ]


class Data(BaseModel):
    order_id: UUID
    payment_id: UUID


class PaymentProcessed(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['payments']
    type: Literal['payment.processed']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data


class Data1(BaseModel):
    order_id: UUID
    reason: str


class PaymentFailed(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['payments']
    type: Literal['payment.failed']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data1


class Data2(BaseModel):
    order_id: UUID
    payment_id: UUID
    refunded: Annotated[
        StrictInt,
        Field(
            description='Amount in the minor unit of its ISO 4217 currency: 1290 is EUR 12.90, JPY 1290 or KWD 1.290.',
            ge=0,
            le=9007199254740991,
        ),
    ]
    currency: Annotated[str, Field(pattern='^[A-Z]{3}$')]


class PaymentRefunded(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['payments']
    type: Literal['payment.refunded']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data2


class Data3(Data):
    pass


class RefundRequested(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['payments']
    type: Literal['refund.requested']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data3


class Data4(BaseModel):
    order: Order


class PaymentRequested(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['orders']
    type: Literal['payment.requested']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data4


class OrderCancelled(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['orders']
    type: Literal['order.cancelled']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data4


class OrderExpired(BaseModel):
    specversion: Literal['1.0']
    id: Annotated[str, Field(min_length=1)]
    source: Literal['orders']
    type: Literal['order.expired']
    subject: Annotated[str, Field(min_length=1)]
    time: Annotated[
        str,
        Field(
            pattern='^(?:(?:\\d\\d[2468][048]|\\d\\d[13579][26]|\\d\\d0[48]|[02468][048]00|[13579][26]00)-02-29|\\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|(?:02)-(?:0[1-9]|1\\d|2[0-8])))T(?:(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d+)?(?:Z|([+-](?:[01]\\d|2[0-3]):[0-5]\\d)))$'
        ),
    ]
    datacontenttype: Literal['application/json']
    data: Data4
