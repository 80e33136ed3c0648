package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

type service struct {
	sidecar *sidecar
	store   *store
	running sync.Map
}

func (s *service) routes(mux *http.ServeMux) {
	mux.Handle("GET /api/inventory", handler(s.listProducts))
	mux.Handle("GET /api/inventory/{product_id}", handler(s.getProduct))
	mux.Handle("PUT /api/inventory/{product_id}", handler(s.putProduct))
	mux.Handle("POST /api/inventory/{product_id}/restock", handler(s.restock))
	mux.Handle("GET /products", handler(s.getProducts))
	mux.Handle("PUT /returns/{order_id}/{return_id}", handler(s.takeBack))
	for kind := range events {
		mux.Handle("POST /events/"+kind, handler(func(w http.ResponseWriter, r *http.Request) error { return s.receive(w, r, kind) }))
	}
}

func publicAll(products []*product) []map[string]any {
	items := []map[string]any{}
	for _, p := range products {
		items = append(items, p.public())
	}
	return items
}

var (
	digits   = regexp.MustCompile(`^(0|[1-9]\d{0,14})$`)
	position = regexp.MustCompile(`^before:(\d{1,15})$`)
)

func (s *service) listProducts(w http.ResponseWriter, r *http.Request) error {
	text, err := one(r, "limit", "20")
	if err != nil {
		return err
	}
	limit, _ := strconv.Atoi(text)
	if !digits.MatchString(text) || limit < 1 || limit > 100 {
		return invalidQuery("limit", "must be a number from 1 to 100")
	}
	before := int(^uint(0) >> 1)
	cursor, err := one(r, "cursor", "")
	if err != nil {
		return err
	}
	if cursor != "" || r.URL.Query().Has("cursor") {
		decoded, _ := base64.RawURLEncoding.Strict().DecodeString(cursor)
		matched := position.FindSubmatch(decoded)
		if matched == nil {
			return invalidQuery("cursor", "must be a next_cursor of this list")
		}
		before, _ = strconv.Atoi(string(matched[1]))
	}
	products, next, err := s.store.list(r.Context(), before, limit)
	if err != nil {
		return err
	}
	var nextCursor any
	if next > 0 {
		encoded := base64.RawURLEncoding.EncodeToString([]byte("before:" + strconv.Itoa(next)))
		query := "cursor=" + encoded
		if r.URL.Query().Has("limit") {
			query = "limit=" + text + "&" + query
		}
		w.Header().Set("link", "<"+r.URL.Path+"?"+query+`>; rel="next"`)
		nextCursor = encoded
	}
	return sendJSON(w, 200, map[string]any{"items": publicAll(products), "next_cursor": nextCursor})
}

func (s *service) getProducts(w http.ResponseWriter, r *http.Request) error {
	text, err := one(r, "ids", "")
	if err != nil {
		return err
	}
	var ids []string
	seen := map[string]bool{}
	for id := range strings.SplitSeq(text, ",") {
		if !productID.MatchString(id) {
			return invalidQuery("ids", "must be product ids with commas between them")
		}
		if !seen[id] {
			ids = append(ids, id)
		}
		seen[id] = true
	}
	if len(ids) > 50 {
		return invalidQuery("ids", "must have at most 50 items")
	}
	products, _, err := s.store.products(r.Context(), ids)
	if err != nil {
		return err
	}
	return sendJSON(w, 200, map[string]any{"items": publicAll(inOrder(ids, products))})
}

func sendProduct(w http.ResponseWriter, status int, p *product) error {
	w.Header().Set("etag", p.tag())
	w.Header().Set("cache-control", "no-cache")
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return nil
	}
	return sendJSON(w, status, p.public())
}

// hasTag reports whether a list of entity tags has one of these.
func hasTag(list string, tags ...string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		for _, wanted := range tags {
			if strings.TrimSpace(tag) == wanted {
				return true
			}
		}
	}
	return false
}

func (s *service) getProduct(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("product_id")
	if !productID.MatchString(id) {
		return notFound("Product")
	}
	p, _, err := s.store.product(r.Context(), id)
	if err != nil {
		return err
	}
	if p == nil {
		return notFound("Product")
	}
	if hasTag(r.Header.Get("if-none-match"), "*", p.tag(), "W/"+p.tag()) {
		return sendProduct(w, http.StatusNotModified, p)
	}
	return sendProduct(w, 200, p)
}

func checkPreconditions(r *http.Request, p *product) error {
	failed := func(detail string) error { return &problem{412, "precondition-failed", detail, nil} }
	expected := r.Header.Get("if-match")
	switch {
	case p != nil && strings.TrimSpace(r.Header.Get("if-none-match")) == "*":
		return failed("The resource already exists.")
	case expected == "":
		return nil
	case p == nil:
		return failed("The resource does not exist.")
	case !hasTag(expected, "*", p.tag()):
		return failed("The resource has changed. Fetch it again and retry.")
	}
	return nil
}

func (s *service) putProduct(w http.ResponseWriter, r *http.Request) error {
	if _, err := requireAdmin(r); err != nil {
		return err
	}
	id := r.PathValue("product_id")
	if !productID.MatchString(id) {
		return notFound("Product")
	}
	var body any
	if err := bodyAs(r, &body); err != nil {
		return err
	}
	fields, _ := body.(map[string]any)
	if name, isText := fields["name"].(string); isText {
		fields["name"] = strings.TrimSpace(name)
	}
	if wrong := wrongFields(putBody, body); wrong != nil {
		return &problem{422, "invalid-input", "The body has invalid fields. See `errors`.", wrong}
	}
	before, after, err := s.store.change(r.Context(), id, func(before *product) (*product, []write, error) {
		after := product{ProductID: id, Currency: "EUR", LowStockThreshold: 5}
		if before != nil {
			after = *before
		}
		after.Name, after.UnitPrice = fields["name"].(string), int64(fields["unit_price"].(float64))
		after.Revision++
		if currency, isGiven := fields["currency"].(string); isGiven {
			after.Currency = currency
		}
		return &after, nil, checkPreconditions(r, before)
	})
	if err != nil {
		return err
	}
	if before == nil {
		return sendProduct(w, 201, after)
	}
	return sendProduct(w, 200, after)
}

var reused = &problem{422, "idempotency-key-reused", "This Idempotency-Key was used for a different request.", nil}

func (s *service) restock(w http.ResponseWriter, r *http.Request) error {
	caller, err := requireAdmin(r)
	if err != nil {
		return err
	}
	id := r.PathValue("product_id")
	if !productID.MatchString(id) {
		return notFound("Product")
	}
	wanted := restock{ProductID: id}
	if err := validBody(r, restockBody, &wanted); err != nil {
		return err
	}
	return s.once(w, r, caller, wanted)
}

// takeBack restocks the sellable lines of a return.
func (s *service) takeBack(w http.ResponseWriter, r *http.Request) error {
	orderID, returnID := strings.ToLower(r.PathValue("order_id")), strings.ToLower(r.PathValue("return_id"))
	if !uuidText.MatchString(orderID) {
		return notFound("Order")
	}
	if !uuidText.MatchString(returnID) {
		return notFound("Return")
	}
	fieldsOf(r.Context())["order_id"] = orderID
	var body struct{ Items []line }
	if err := validBody(r, returnBody, &body); err != nil {
		return err
	}
	_, after, err := s.store.changeOrder(r.Context(), orderID, body.Items, func(before *reservation, products map[string]*product) *reservation {
		return takeBack(before, returnID, body.Items, products)
	})
	if err != nil {
		return err
	}
	if after == nil {
		return notFound("Order")
	}
	w.Header().Set("cache-control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

var (
	operations = uuid.MustParse("c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e")
	visible    = regexp.MustCompile(`^[!-~]{1,255}$`)
	quoted     = regexp.MustCompile(`^"(.*)"$`)
)

const dayInSeconds = 24 * 3600

type storedResponse struct {
	Status      int             `json:"status"`
	Body        json.RawMessage `json:"body"`
	Fingerprint string          `json:"fingerprint"`
}

// once executes a restock once per Idempotency-Key, if there is one.
func (s *service) once(w http.ResponseWriter, r *http.Request, caller string, wanted restock) error {
	given, isGiven := r.Header["Idempotency-Key"]
	if !isGiven {
		p, err := s.restockOnce(r, wanted)
		if err != nil {
			return err
		}
		return sendJSON(w, 200, p.public())
	}
	key := quoted.ReplaceAllString(given[0], "$1")
	if !visible.MatchString(key) {
		return &problem{400, "invalid-idempotency-key", "The Idempotency-Key must have 1 to 255 visible ASCII characters.", nil}
	}
	wanted.Operation = uuid.NewSHA1(operations, []byte(caller+" restock "+key)).String()
	if _, isRunning := s.running.LoadOrStore(wanted.Operation, true); isRunning {
		return &problem{409, "idempotency-key-in-use", "The first request with this Idempotency-Key is in progress.", nil}
	}
	defer s.running.Delete(wanted.Operation)
	request, err := json.Marshal(map[string]any{"product_id": wanted.ProductID, "quantity": wanted.Quantity})
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(request)
	fingerprint := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	known, _, err := load[storedResponse](r.Context(), s.sidecar, "idempotency:"+wanted.Operation)
	if err != nil {
		return err
	}
	if known != nil {
		if known.Fingerprint != fingerprint {
			return reused
		}
		w.Header().Set("idempotent-replayed", "true")
		return sendJSON(w, known.Status, known.Body)
	}
	p, err := s.restockOnce(r, wanted)
	if err != nil {
		return err
	}
	body, err := json.Marshal(p.public())
	if err != nil {
		return err
	}
	response := write{key: "idempotency:" + wanted.Operation, value: storedResponse{200, body, fingerprint}, ttlSeconds: dayInSeconds}
	if err := s.sidecar.save(r.Context(), response); err != nil {
		log(r.Context(), slog.LevelWarn, "storing the response failed", "err", err.Error())
	}
	return sendJSON(w, 200, json.RawMessage(body))
}

func (s *service) restockOnce(r *http.Request, wanted restock) (*product, error) {
	var current *product
	_, after, err := s.store.change(r.Context(), wanted.ProductID, func(before *product) (*product, []write, error) {
		var more []write
		if wanted.Operation != "" {
			key := "restock:" + wanted.Operation
			done, _, err := load[restock](r.Context(), s.sidecar, key)
			if err != nil {
				return nil, nil, err
			}
			if done != nil && *done != wanted {
				return nil, nil, reused
			}
			if current = before; done != nil {
				return nil, nil, nil
			}
			more = []write{{key: key, value: wanted, ttlSeconds: dayInSeconds}}
		}
		if before == nil {
			return nil, nil, notFound("Product")
		}
		after := *before
		after.OnHand, after.Stocked, after.Revision = after.OnHand+wanted.Quantity, after.Stocked+wanted.Quantity, after.Revision+1
		return &after, more, nil
	})
	if after == nil {
		after = current
	}
	if err == nil && after == nil {
		err = notFound("Product")
	}
	return after, err
}

type orderEvent struct {
	ID   string
	Data struct {
		Order struct {
			OrderID string `json:"order_id"`
			Items   []line
		}
	}
}

// receive handles an event. It answers SUCCESS, RETRY or DROP.
func (s *service) receive(w http.ResponseWriter, r *http.Request, kind string) error {
	var body json.RawMessage
	if err := bodyAs(r, &body); err != nil {
		return err
	}
	fields := fieldsOf(r.Context())
	fields["event_type"], fields["outcome"] = kind, "DROP"
	var parsed any
	var event orderEvent
	if json.Unmarshal(body, &parsed) == nil && events[kind].Validate(parsed) == nil && json.Unmarshal(body, &event) == nil {
		fields["event_id"], fields["outcome"] = event.ID, "SUCCESS"
		fields["order_id"] = strings.ToLower(event.Data.Order.OrderID)
		ctx, span := otel.Tracer("inventory").Start(r.Context(), "process "+kind, trace.WithSpanKind(trace.SpanKindConsumer))
		err := s.handle(r.WithContext(ctx), kind, fields["order_id"], event.Data.Order.Items)
		span.End()
		if err != nil {
			cause := "other"
			if errors.Is(err, errConflict) {
				cause = "conflict"
			} else if errors.Is(err, errUnavailable) {
				cause = "sidecar"
			}
			counters["event_redeliveries_total"].With(map[string]string{"event": kind, "cause": cause}).Inc()
			log(ctx, slog.LevelWarn, "event failed; the sidecar will redeliver", "err", err.Error())
			fields["outcome"] = "RETRY"
		}
	}
	return sendJSON(w, 200, map[string]string{"status": fields["outcome"]})
}

func (s *service) handle(r *http.Request, kind, orderID string, lines []line) error {
	ctx := r.Context()
	at := now()
	before, after, err := s.store.changeOrder(ctx, orderID, lines, func(before *reservation, products map[string]*product) *reservation {
		return decide(kind, orderID, lines, at, before, products)
	})
	if err != nil {
		return err
	}
	if after == nil {
		return errors.New("no reservation of this order yet")
	}
	if before == nil || before.Status != after.Status {
		counters["inventory_reservations_total"].With(map[string]string{"status": after.Status}).Inc()
	}
	switch {
	case kind == "order.created" && after.Reason == "":
		return s.sidecar.publish(ctx, "inventory.reserved", orderID+":reserved", orderID, after.Time, map[string]string{"order_id": orderID})
	case kind == "order.created":
		data := map[string]string{"order_id": orderID, "reason": after.Reason}
		return s.sidecar.publish(ctx, "inventory.rejected", orderID+":rejected", orderID, after.Time, data)
	case kind == "order.paid" && after.Sale == nil:
		log(ctx, slog.LevelWarn, "order.paid ignored: no reservation", "status", after.Status)
	case kind == "order.paid":
		for _, low := range after.Sale.Low {
			if err := s.sidecar.publish(ctx, "stock.low", orderID+":low:"+low.ProductID, low.ProductID, after.Sale.Time, low); err != nil {
				return err
			}
		}
	}
	return nil
}
