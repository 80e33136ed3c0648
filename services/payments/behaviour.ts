import { TRANSITIONS } from './domain/state-machine.ts';

const table = (machine: typeof TRANSITIONS) =>
  [
    '| trigger | statuses | step |',
    '| --- | --- | --- |',
    ...Object.entries(machine).flatMap(([trigger, transitions]) =>
      transitions.map(({ from, step }) => `| \`${trigger}\` | ${from.join(', ')} | ${step} |`),
    ),
  ].join('\n');

/** What `payments` does, as far as the schemas do not express it. The documents contain it, for other implementations. */
export const BEHAVIOUR = `
## State machine

A trigger finds the payment in a status, which decides the next step. In every other status it changes nothing.
NONE: there is no payment. REQUESTED and REFUSED are internal: such a payment is not shown.

${table(TRANSITIONS)}

- A new payment has a UUIDv7, status REQUESTED, amount \`total\` and currency of the order, \`refunded\` 0 and \`attempts\` 0.
- **authorize, capture**: call the provider. Approved: AUTHORIZED or CAPTURED. Declined: FAILED, with the provider's reason.
- No answer within PAYMENT_TIMEOUT_MS: the status stays, \`attempts\` grows by one, and \`last_failure\` is the reason. Answer RETRY, and let the
  next delivery continue. Reasons: \`provider timeout\`, \`provider unreachable\`.
- With \`attempts\` >= PAYMENT_MAX_ATTEMPTS, \`reverse\` replaces authorize and capture, in the same delivery too.
- **reverse**: have the provider refund all, which gives the total refunded. FAILED, REFUNDED and REFUSED with the same total: nothing changes.
  With another total: REFUNDED, and \`reason\` and \`updated_at\` stay. Else: REFUNDED if the payment was CAPTURED or the total is above 0, otherwise FAILED.
- **block**: save the payment as REFUSED, so that no charge follows.
- A new payment is first saved with the answer of the provider, or with block. If the state store of the ledger fails, answer RETRY without
  counting. A reversal without an answer is not counted either.
- \`updated_at\` is the time at which the payment reached its status. An attempt and a block keep that of a payment that exists.
- The time limit applies to every call to the provider, also for a refund and the ledger. Without an answer, a request gets 503.

## Events

- \`payment.requested\`: repeat the steps until the status is CAPTURED, FAILED, REFUNDED or REFUSED. Then publish the outcome, then the refund.
  Before the first authorize or capture of a delivery, fetch the card with \`GET /orders/{id}/payment-method\` of \`orders\`. 410 is the trigger
  \`card-erased\`, with the reason \`the order has ended\`: load the payment again, and decide. Any other failure: RETRY. Never store, log or publish the
  card token.
- \`order.cancelled\`, \`order.expired\`: trigger \`order-ended\`, reason \`order cancelled\` or \`order expired\`. Then publish the refund.
- A reversal by \`payment.requested\` has the reason \`last_failure\`, or else \`provider unreachable\`.
- The outcome of CAPTURED is \`payment.processed\`. Of every other status it is \`payment.failed\`, with the reason or \`not paid\`.
- The refund is \`payment.refunded\`, if \`refunded\` is above 0. Publish it also if the event changed nothing.
- \`refund.requested\`: trigger \`refund\`, reason \`refunded by the shop\`. Then publish the refund. Without a payment: RETRY.

## Requests

- \`GET /api/payments\`: a list of one payment. It is empty if there is none, it is internal, or the caller is neither its customer nor an
  administrator. \`ledger\`: 404 if the provider has no record.
- \`refund\`: without a payment, or if it is internal, 404. If it is CAPTURED, ask \`orders\` for the order with \`GET /orders?ids={id}\`. Unless
  its status is SHIPPED or DELIVERED, 409 \`order-not-delivered\`. Then publish \`refund.requested\`, so that a crash loses no
  refund, and only then reverse, with the reason \`refunded by the shop\`. REFUNDED before: no such event, and the same answer. Any other status: 409
  \`nothing-captured\`. Publish the refund. If that fails, log a warning: the event of the request publishes it.
- \`PUT /refunds\` is for \`returns\`, which publishes the result. Without a payment: 404. If \`returns\` of the payment has the id: the same answer,
  with the total of now, whatever the amount is. If the payment is neither CAPTURED nor REFUNDED: 409 \`nothing-captured\`. Otherwise have the provider refund a part.
  Save its amount in \`returns\`, by the id, and the total of the order in \`refunded\`. If a CAPTURED payment is then refunded completely, its
  status is REFUNDED without a reason, and \`updated_at\` is now. No event follows.
- The log line of a request or event that saves a payment has \`payment_id\`, \`payment_status\`, and \`payment_reason\` if there is a reason.

## Simulated provider

It answers by card token, and keeps a ledger in the state store. Every call for an order has the effect of one call. A declined token
is declined by authorize. capture looks only at the tokens that name it.

| token | answer |
| --- | --- |
| \`tok_visa\` | approved |
| \`tok_chargeDeclined\` | declined: \`card declined\` |
| \`tok_chargeDeclinedInsufficientFunds\` | declined: \`insufficient funds\` |
| \`tok_slow\` | authorized SIMULATED_SLOW_CARD_MS after the first call, which \`started_at\` notes; one in the future begins now |
| \`tok_flaky\` | the first two authorize calls fail with \`provider unreachable\`; \`tries\` counts all of them |
| \`tok_timeout\` | approved; every capture ends by the time limit, also when the money is captured already |
| \`tok_late\` | approved; the first capture ends by the time limit and writes after it; the next one finds that |
| \`tok_twice\` | approved; every capture reaches the provider twice at once |
| \`tok_yes_after_no\` | the first authorize is declined with \`card declined\`, which \`tries\` counts; the next ones are approved |
| any other | declined: \`unknown card token\` |

- capture appends \`amount\` and the time to \`captures\`, unless there is a capture already or the authorization is void.
- capture of a void authorization is declined: \`authorization voided\`.
- refund appends what is captured and not yet refunded to \`refunds\`. Without a capture it voids the authorization (\`voided_at\`).
- refund of a part appends \`amount\`, at most what is captured and not yet refunded, with \`return_id\` and the time to \`refunds\`. It appends nothing
  if that is 0, or if \`refunds\` has the id. It answers with the amounts of this id and of all refunds.
- A change that leaves the ledger as it is writes nothing.`;
