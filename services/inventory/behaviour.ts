/** What `inventory` does, as far as the schemas do not express it. The documents contain it, for other implementations. */
export const BEHAVIOUR = `
## Products

\`available\` = \`on_hand\` - \`reserved\`. Always 0 <= \`reserved\` <= \`on_hand\`, and \`stocked\` = \`on_hand\` + \`sold\`. Every change of a product adds 1 to
\`revision\`. The ETag of a product is its revision in quotes.

- At the start, add every product of the catalogue that does not exist, with revision 1, the last product first. Until that succeeds,
  \`/readyz\` answers 503. SEED_FILE is a JSON list like \`services/inventory/catalogue.json\`. \`low_stock_threshold\` is 5 by default.
- \`GET /api/inventory\` lists the newest product first. \`next_cursor\` is base64url without padding of \`before:{position}\`. The next page has the
  products before that position of the index, whose first position is 0.
- \`PUT\` changes name, price and currency, and never stock. A new product has currency EUR unless one is given, threshold 5, no stock, and is
  appended to the index.
- \`restock\` adds to \`on_hand\` and \`stocked\`. With an Idempotency-Key, a \`restock:\` document is saved in the same transaction. If it exists
  already, nothing is added; if it has another product or quantity, 422 \`idempotency-key-reused\`.
- \`GET /products\` takes 1 to 50 product ids with commas, and has products in their order. Unknown ids and repetitions are left out.
- \`PUT /returns\` is for \`returns\`, which knows what an order may return. In one transaction, it adds the return's id to \`returned\` of the
  reservation, and moves each line from \`sold\` to \`on_hand\`, at most what is sold. Its status stays, and no event follows. A known id changes
  nothing and gets 204 too. A product that does not exist is left out. No reservation: 404.
- A query parameter that is a number has decimal digits only, without a sign or zeros in front.
- \`PUT\` evaluates If-Match and \`If-None-Match: *\` (412), \`GET\` evaluates If-None-Match (304), also with weak tags and \`*\`.

## Events

Lines of one product count together, also those of a return. Each event changes its reservation and all products in one transaction.

- \`order.created\`: if there is a reservation, nothing changes. If every line is available, \`reserved\` grows: RESERVED. Otherwise REJECTED, no lines,
  reason \`out of stock: pen (3 wanted, 2 available), ...\`, in the order of the lines. An unknown product has 0 available. Then publish \`inventory.reserved\`, or
  \`inventory.rejected\` if the reservation has a reason, whatever its status is.
- \`order.paid\`: no reservation: RETRY. RESERVED: \`on_hand\` and \`reserved\` fall, \`sold\` grows: SOLD, with \`sale\`. \`sale.low\` has each product whose
  \`on_hand\` fell from above its threshold to the threshold or below. Then publish \`stock.low\` for each entry of \`sale.low\`, also when the event is
  redelivered. Without a sale, log a warning.
- \`order.payment_failed\`, \`order.cancelled\`, \`order.expired\`: RESERVED: \`reserved\` falls: RELEASED. SOLD: \`on_hand\` grows and \`sold\` falls: RELEASED.
  \`lines\`, \`time\` and \`sale\` stay. REJECTED, RELEASED: nothing changes. No reservation: save RELEASED without lines, with the reason \`the order ended before its
  stock was reserved\`.`;
