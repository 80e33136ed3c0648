package main

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

var (
	//go:embed contract/openapi.json
	openapi json.RawMessage
	//go:embed contract/asyncapi.json
	asyncapi json.RawMessage
)

type service struct {
	sidecar  *sidecar
	isSeeded atomic.Bool
	// running are the operations whose first request is in progress.
	running sync.Map
}

func (s *service) handler(token string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /healthz", always(200, map[string]string{"status": "ok"}, nil))
	mux.Handle("GET /readyz", handler(s.ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.DefaultGatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("GET /openapi.json", always(200, openapi, nil))
	mux.Handle("GET /asyncapi.json", always(200, asyncapi, nil))
	mux.Handle("/", always(0, nil, notFound("Route")))
	for pattern, handle := range map[string]handler{
		"GET /api/inventory":                       s.listProducts,
		"GET /api/inventory/{product_id}":          s.getProduct,
		"PUT /api/inventory/{product_id}":          withBody(s.putProduct),
		"POST /api/inventory/{product_id}/restock": withBody(s.restock),
		"GET /products":                            s.getProducts,
		"PUT /returns/{order_id}/{return_id}":      withBody(s.takeBack),
	} {
		mux.Handle(pattern, validated(pattern, handle))
	}
	for path := range spec.Paths.Map() {
		if kind, isEvent := strings.CutPrefix(path, "/events/"); isEvent {
			mux.Handle("POST "+path, settled(kind, validated("POST "+path, withBody(s.receive))))
		}
	}
	named := otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return cmp.Or(r.Pattern, r.Method) })
	return otelhttp.NewHandler(observed(token, mux), "", named, otelhttp.WithFilter(func(r *http.Request) bool { return !isProbe(r) }))
}

func (s *service) ready(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	_, err := send(s.sidecar.R().SetContext(r.Context()), "GET", "/v1.0/healthz/outbound")
	if err != nil || !s.isSeeded.Load() {
		return 0, nil, fail(503, "unavailable", "The service is starting, or its sidecar is unavailable.")
	}
	return 200, map[string]string{"status": "ready"}, nil
}

func cursorOf(position int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "before:%d", position))
}

func (s *service) listProducts(w http.ResponseWriter, r *http.Request) (int, any, error) {
	query, limit, before := r.URL.Query(), 20, math.MaxInt
	if text := query.Get("limit"); query.Has("limit") {
		if limit, _ = strconv.Atoi(text); strconv.Itoa(limit) != text {
			return 0, nil, invalidQuery(Problem_Errors{"limit", "must have decimal digits only"})
		}
	}
	if text := query.Get("cursor"); query.Has("cursor") {
		decoded, _ := base64.RawURLEncoding.DecodeString(text)
		if _, err := fmt.Sscanf(string(decoded), "before:%d", &before); err != nil || cursorOf(before) != text {
			return 0, nil, invalidQuery(Problem_Errors{"cursor", "must be a next_cursor of this list"})
		}
	}
	t := s.sidecar.begin(r.Context())
	ids, start := t.list(before, limit)
	list := ProductList{Items: t.public(ids)}
	if start > 0 {
		list.NextCursor = new(cursorOf(start))
		query.Del("cursor")
		next := strings.TrimPrefix(query.Encode()+"&cursor="+*list.NextCursor, "&")
		w.Header().Set("link", fmt.Sprintf(`<%s?%s>; rel="next"`, r.URL.Path, next))
	}
	return 200, list, t.err
}

// productIDs is the form of the parameter ids.
var productIDs = regexp.MustCompile(`^[\w-]{1,64}(,[\w-]{1,64})*$`)

func (s *service) getProducts(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	var ids []string
	text := r.URL.Query().Get("ids")
	for id := range strings.SplitSeq(text, ",") {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	if !productIDs.MatchString(text) || len(ids) > 50 {
		return 0, nil, invalidQuery(Problem_Errors{"ids", "must be 1 to 50 product ids with commas between them"})
	}
	t := s.sidecar.begin(r.Context())
	return 200, map[string][]Product{"items": t.public(ids)}, t.err
}

// hasTag reports whether a list of entity tags has this one, or is *.
func hasTag(list, tag string) bool {
	return list == "*" || slices.ContainsFunc(strings.Split(list, ","), func(one string) bool { return strings.TrimSpace(one) == tag })
}

func (s *service) getProduct(w http.ResponseWriter, r *http.Request) (int, any, error) {
	t := s.sidecar.begin(r.Context())
	p := load[StoredProduct](t, "product:"+r.PathValue("product_id"))
	if t.err != nil || p.Revision == 0 {
		return 0, nil, cmp.Or[error](t.err, notFound("Product"))
	}
	tagged(w, p)
	if hasTag(strings.ReplaceAll(r.Header.Get("if-none-match"), "W/", ""), p.tag()) {
		return http.StatusNotModified, nil, nil
	}
	return 200, p.public(), nil
}

func tagged(w http.ResponseWriter, p *StoredProduct) {
	w.Header().Set("etag", p.tag())
	w.Header().Set("cache-control", "no-cache")
}

func checkPreconditions(header http.Header, p *StoredProduct) error {
	failed := func(detail string) error { return fail(412, "precondition-failed", detail) }
	expected := header.Get("if-match")
	switch exists := p.Revision > 0; {
	case exists && header.Get("if-none-match") == "*":
		return failed("The resource already exists.")
	case expected != "" && !exists:
		return failed("The resource does not exist.")
	case expected != "" && !hasTag(expected, p.tag()):
		return failed("The resource has changed. Fetch it again and retry.")
	}
	return nil
}

func (s *service) putProduct(w http.ResponseWriter, r *http.Request, body *PutInventoryByProductIdJSONBody) (int, any, error) {
	var p *StoredProduct
	err := s.sidecar.decide(r.Context(), func(t *transaction) error {
		p = load[StoredProduct](t, "product:"+r.PathValue("product_id"))
		if err := checkPreconditions(r.Header, p); err != nil {
			return err
		}
		if p.Revision == 0 {
			t.add(p, StoredProduct{ProductId: r.PathValue("product_id"), Currency: "EUR", LowStockThreshold: defaultThreshold})
		}
		p.Name, p.UnitPrice, p.Currency, p.Revision = body.Name, body.UnitPrice, cmp.Or(string(body.Currency), p.Currency), p.Revision+1
		return nil
	})
	if err != nil {
		return 0, nil, err
	}
	tagged(w, p)
	if p.Revision == 1 {
		return 201, p.public(), nil
	}
	return 200, p.public(), nil
}

var (
	operations = uuid.MustParse("c1f9a5c7-0d0e-5b1d-8a4f-2f6f0f4c7b1e")
	errReused  = fail(422, "idempotency-key-reused", "This Idempotency-Key was used for a different request.")
)

// restock adds to the stock, once per caller and Idempotency-Key.
func (s *service) restock(w http.ResponseWriter, r *http.Request, body *PostInventoryByProductIdRestockJSONBody) (int, any, error) {
	ctx, wanted := r.Context(), StoredRestock{ProductId: r.PathValue("product_id"), Quantity: body.Quantity}
	key := strings.TrimSuffix(strings.TrimPrefix(r.Header.Get("idempotency-key"), `"`), `"`)
	if key == "" {
		p, err := s.addStock(ctx, wanted)
		return 200, p, err
	}
	name := strings.Join([]string{strings.ToLower(r.Header.Get("x-caller-id")), "restock", key}, " ")
	wanted.Operation = uuid.NewSHA1(operations, []byte(name)).String()
	if _, isRunning := s.running.LoadOrStore(wanted.Operation, true); isRunning {
		return 0, nil, fail(409, "idempotency-key-in-use", "The first request with this Idempotency-Key is in progress.")
	}
	defer s.running.Delete(wanted.Operation)
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, `{"product_id":%q,"quantity":%d}`, wanted.ProductId, wanted.Quantity)
	fingerprint := base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	t := s.sidecar.begin(ctx)
	response := load[StoredIdempotency](t, "idempotency:"+wanted.Operation)
	switch {
	case t.err != nil:
		return 0, nil, t.err
	case response.Fingerprint == fingerprint:
		w.Header().Set("idempotent-replayed", "true")
		return response.Status, response.Body, nil
	case response.Fingerprint != "":
		return 0, nil, errReused
	}
	p, err := s.addStock(ctx, wanted)
	if err != nil {
		return 0, nil, err
	}
	*response = StoredIdempotency{Status: 200, Body: p, Fingerprint: fingerprint}
	if err := t.save(); err != nil {
		slog.WarnContext(ctx, "storing the response failed", "err", err.Error())
	}
	return 200, p, nil
}

func (s *service) addStock(ctx context.Context, wanted StoredRestock) (Product, error) {
	var p *StoredProduct
	err := s.sidecar.decide(ctx, func(t *transaction) error {
		p = load[StoredProduct](t, "product:"+wanted.ProductId)
		if wanted.Operation != "" {
			known := load[StoredRestock](t, "restock:"+wanted.Operation)
			if *known == wanted {
				return nil
			} else if known.Operation != "" {
				return errReused
			}
			*known = wanted
		}
		if p.Revision == 0 {
			return notFound("Product")
		}
		p.move(wanted.Quantity, 0, 0)
		p.Stocked += wanted.Quantity
		return nil
	})
	return p.public(), err
}

// takeBack puts the sellable lines of a return into the stock again, once.
func (s *service) takeBack(_ http.ResponseWriter, r *http.Request, body *PutReturnsByOrderIdByReturnIdJSONBody) (int, any, error) {
	orderID, returnID := uuid.MustParse(r.PathValue("order_id")), uuid.MustParse(r.PathValue("return_id"))
	fieldsOf(r.Context())["order_id"] = orderID.String()
	err := s.sidecar.decide(r.Context(), func(t *transaction) error {
		reservation := load[StoredReservation](t, "reservation:"+orderID.String())
		if reservation.Status == "" {
			return notFound("Order")
		}
		if slices.Contains(reservation.Returned, returnID) {
			return nil
		}
		products := loadProducts(t, body.Items)
		for _, line := range onePerProduct(body.Items) {
			back := min(line.Quantity, products[line.ProductId].Sold)
			products[line.ProductId].move(back, 0, -back)
		}
		reservation.Returned = append(reservation.Returned, returnID)
		return nil
	})
	return 204, nil, err
}

// receive applies an event to the stock, and publishes the events that follow.
func (s *service) receive(_ http.ResponseWriter, r *http.Request, event *OrderEvent) (int, any, error) {
	ctx, orderID := r.Context(), event.Data.Order.OrderId.String()
	fieldsOf(ctx)["event_id"], fieldsOf(ctx)["order_id"] = event.Id, orderID
	var reservation *StoredReservation
	var before StoredReservationStatus
	err := s.sidecar.decide(ctx, func(t *transaction) error {
		reservation = load[StoredReservation](t, "reservation:"+orderID)
		before = reservation.Status
		reservation.apply(event, loadProducts(t, slices.Concat(reservation.Lines, event.Data.Order.Items)))
		if reservation.Status == "" {
			return errors.New("no reservation of this order yet")
		}
		return nil
	})
	if err == nil && before != reservation.Status {
		reservations.WithLabelValues(string(reservation.Status)).Inc()
	}
	switch {
	case err != nil:
	case event.Type == "order.created" && reservation.Reason == "":
		err = s.sidecar.publish(ctx, "inventory.reserved", orderID+":reserved", orderID, reservation.Time, map[string]string{"order_id": orderID})
	case event.Type == "order.created":
		data := map[string]string{"order_id": orderID, "reason": reservation.Reason}
		err = s.sidecar.publish(ctx, "inventory.rejected", orderID+":rejected", orderID, reservation.Time, data)
	case event.Type == "order.paid" && reservation.Sale == nil:
		slog.WarnContext(ctx, "order.paid ignored: no reservation", "status", reservation.Status)
	case event.Type == "order.paid":
		for _, low := range reservation.Sale.Low {
			id := orderID + ":low:" + low.ProductId
			err = cmp.Or(err, s.sidecar.publish(ctx, "stock.low", id, low.ProductId, reservation.Sale.Time, low))
		}
	}
	return 200, nil, err
}
