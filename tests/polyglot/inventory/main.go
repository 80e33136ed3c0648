// The service inventory, written from its documents: services/CONTRACT.md.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func main() {
	settings := readSettings()
	catalogue := readCatalogue(settings["SEED_FILE"])
	startLog(settings["LOG_LEVEL"])
	createMetrics()
	stopTracing := startTracing(settings)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()

	sidecar := newSidecar(settings["DAPR_HTTP_PORT"], settings["DAPR_API_TOKEN"])
	stock := &store{sidecar: sidecar}
	var isSeeded atomic.Bool
	go seed(ctx, stock, catalogue, &isSeeded)
	go measureStock(ctx, stock)

	mux := http.NewServeMux()
	(&service{sidecar: sidecar, store: stock}).routes(mux)
	mux.Handle("GET /healthz", handler(func(w http.ResponseWriter, _ *http.Request) error {
		return sendJSON(w, 200, map[string]string{"status": "ok"})
	}))
	mux.Handle("GET /readyz", handler(func(w http.ResponseWriter, r *http.Request) error {
		if !isSeeded.Load() || !sidecar.isReady(r.Context()) {
			return &problem{503, "unavailable", "The service is starting, or its sidecar is unavailable.", nil}
		}
		return sendJSON(w, 200, map[string]string{"status": "ready"})
	}))
	mux.Handle("GET /metrics", promhttp.HandlerFor(prometheus.DefaultGatherer, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("GET /openapi.json", document(openapi))
	mux.Handle("GET /asyncapi.json", document(asyncapi))
	mux.Handle("/", handler(func(http.ResponseWriter, *http.Request) error {
		return &problem{404, "not-found", "No route matches this URL.", nil}
	}))

	server := &http.Server{
		Addr:              net.JoinHostPort(settings["APP_HOST"], settings["APP_PORT"]),
		Handler:           inRequest(settings["APP_API_TOKEN"], mux),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		ConnState:         countConnections,
	}
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			exit(err.Error())
		}
	}()
	log(ctx, slog.LevelInfo, "listening", "port", settings["APP_PORT"])
	<-ctx.Done()
	log(ctx, slog.LevelInfo, "stopping")
	limited, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := errors.Join(server.Shutdown(limited), stopTracing(limited))
	if err != nil {
		exit(err.Error())
	}
}

func document(text []byte) http.Handler {
	return handler(func(w http.ResponseWriter, _ *http.Request) error { return sendJSON(w, 200, json.RawMessage(text)) })
}

func countConnections(_ net.Conn, state http.ConnState) {
	connections := gauges["active_connections"].With(map[string]string{"protocol": "http"})
	switch state {
	case http.StateNew:
		connections.Inc()
	case http.StateClosed, http.StateHijacked:
		connections.Dec()
	}
}

func readCatalogue(path string) []product {
	text := file("catalogue.json")
	if path != "" {
		read, err := os.ReadFile(path)
		if err != nil {
			exit("SEED_FILE: must be the path of a file that exists")
		}
		text = read
	}
	var entries []struct {
		product
		Threshold *int64 `json:"low_stock_threshold"`
	}
	if err := json.Unmarshal(text, &entries); err != nil {
		exit("SEED_FILE: the catalogue is wrong: " + err.Error())
	}
	var catalogue []product
	for _, one := range entries {
		p := one.product
		p.LowStockThreshold = 5
		if one.Threshold != nil {
			p.LowStockThreshold = *one.Threshold
		}
		if !productID.MatchString(p.ProductID) || p.Name == "" || p.UnitPrice < 0 || p.OnHand < 0 || p.LowStockThreshold < 0 {
			exit("SEED_FILE: the catalogue has a wrong product: " + p.ProductID)
		}
		p.Stocked, p.Revision = p.OnHand, 1
		catalogue = append(catalogue, p)
	}
	return catalogue
}

// seed adds the products that do not exist, the last one first. It repeats until it succeeds.
func seed(ctx context.Context, stock *store, catalogue []product, isSeeded *atomic.Bool) {
	for wait := 100 * time.Millisecond; ctx.Err() == nil; wait = min(2*wait, 5*time.Second) {
		var err error
		for _, one := range slices.Backward(catalogue) {
			_, _, err = stock.change(ctx, one.ProductID, func(before *product) (*product, []write, error) {
				if before != nil {
					return nil, nil, nil
				}
				return &one, nil, nil
			})
			if err != nil {
				break
			}
		}
		if err == nil {
			isSeeded.Store(true)
			return
		}
		log(ctx, slog.LevelWarn, "seeding the catalogue failed", "err", err.Error())
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// measureStock measures the twenty products that run out first, of the newest five hundred.
func measureStock(ctx context.Context, stock *store) {
	for ctx.Err() == nil {
		if products, _, err := stock.list(ctx, int(^uint(0)>>1), 500); err == nil {
			slices.SortFunc(products, func(a, b *product) int {
				return cmp.Compare(a.available()-a.LowStockThreshold, b.available()-b.LowStockThreshold)
			})
			gauges["current_stock"].Reset()
			gauges["low_stock_threshold"].Reset()
			for _, p := range products[:min(20, len(products))] {
				labels := map[string]string{"product": p.ProductID}
				gauges["current_stock"].With(labels).Set(float64(p.available()))
				gauges["low_stock_threshold"].With(labels).Set(float64(p.LowStockThreshold))
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
	}
}
