// The service inventory, written from its documents: services/CONTRACT.md.
package main

//go:generate sh -c "go tool -modfile=tools/go.mod gojq -s -f document.jq contract/openapi.json contract/asyncapi.json | go tool -modfile=tools/go.mod oapi-codegen -config oapi-codegen.yaml /dev/stdin"

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	settings, err := readSettings(os.Getenv)
	if err != nil {
		return err
	}
	current.Store(settings)
	catalogue, err := readCatalogue(settings.SeedFile)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	startLog()
	stopTracing, err := startTracing(ctx, settings)
	if err != nil {
		return err
	}
	s := &service{sidecar: newSidecar(settings)}
	go s.seed(ctx, catalogue)
	go every(ctx, 2*time.Second, s.sidecar.refreshSettings)
	go every(ctx, 10*time.Second, s.measureStock)
	server := &http.Server{
		Addr:              net.JoinHostPort(settings.AppHost, strconv.Itoa(settings.AppPort)),
		Handler:           s.handler(settings.AppApiToken),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       75 * time.Second,
		ConnState:         countConnections,
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		slog.Info("stopping")
		limited, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- errors.Join(server.Shutdown(limited), stopTracing(limited))
	})
	slog.Info("listening", "port", settings.AppPort)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

func countConnections(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		connections.WithLabelValues("http").Inc()
	case http.StateClosed, http.StateHijacked:
		connections.WithLabelValues("http").Dec()
	}
}

// every repeats a task, whose errors are passing ones.
func every(ctx context.Context, interval time.Duration, task func(context.Context) error) {
	for ctx.Err() == nil {
		if err := task(ctx); err != nil {
			slog.Debug("a periodic task failed", "err", err.Error())
		}
		select {
		case <-ctx.Done():
		case <-time.After(interval):
		}
	}
}

// seed adds the products that do not exist, the last one first. It repeats until it succeeds.
func (s *service) seed(ctx context.Context, catalogue []*StoredProduct) {
	_, err := backoff.Retry(ctx, func() (any, error) {
		for _, product := range slices.Backward(catalogue) {
			err := s.sidecar.decide(ctx, func(t *transaction) error {
				if known := load[StoredProduct](t, "product:"+product.ProductId); known.Revision == 0 {
					t.add(known, *product)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		return nil, nil
	}, backoff.WithBackOff(pauses(100*time.Millisecond)), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) {
		slog.Warn("seeding the catalogue failed", "err", err.Error())
	}))
	s.isSeeded.Store(err == nil)
}

// measureStock measures the twenty products that run out first, of the newest five hundred.
func (s *service) measureStock(ctx context.Context) error {
	t := s.sidecar.begin(ctx)
	ids, _ := t.list(math.MaxInt, 500)
	left := func(p *StoredProduct) int { return p.available() - p.LowStockThreshold }
	products := slices.SortedFunc(maps.Values(loadAll[StoredProduct](t, "product:", ids)), func(a, b *StoredProduct) int {
		return cmp.Compare(left(a), left(b))
	})
	if t.err != nil {
		return t.err
	}
	currentStock.Reset()
	lowStock.Reset()
	for _, p := range products[:min(20, len(products))] {
		currentStock.WithLabelValues(p.ProductId).Set(float64(p.available()))
		lowStock.WithLabelValues(p.ProductId).Set(float64(p.LowStockThreshold))
	}
	return nil
}
