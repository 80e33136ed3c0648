package main

import (
	"cmp"
	"context"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	//lint:ignore SA1019 no other exporter sends spans to ZIPKIN_ENDPOINT
	"go.opentelemetry.io/otel/exporters/zipkin"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
)

var (
	ofRequest = []string{"protocol", "method", "route", "status"}
	requests  = counter("requests_total", "Requests at their end", ofRequest...)
	durations = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "request_duration_seconds", Help: "Duration of requests", Buckets: []float64{.005, .01, .025, .05, .1, .3, .5, 1, 2, 5, 10},
	}, ofRequest)
	connections  = gauge("active_connections", "Open connections", "protocol")
	redeliveries = counter("event_redeliveries_total", "Failed deliveries that the sidecar repeats", "event", "cause")
	reservations = counter("inventory_reservations_total", "Reservations that reached a status", "status")
	currentStock = gauge("current_stock", "Available stock of the products that run out first", "product")
	lowStock     = gauge("low_stock_threshold", "Stock at which such a product is low", "product")
)

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return promauto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return promauto.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

var levels = map[SettingsLOGLEVEL]slog.Level{"trace": -8, "debug": -4, "info": 0, "warn": 4, "error": 8, "fatal": 12, "silent": 99}

func init() {
	for _, status := range schemaOf("StoredReservation").Properties["status"].Value.Enum {
		reservations.WithLabelValues(status.(string))
	}
}

type fieldsKey struct{}

// fieldsOf are the fields that every log line of a request has.
func fieldsOf(ctx context.Context) map[string]string {
	fields, _ := ctx.Value(fieldsKey{}).(map[string]string)
	return fields
}

// A logHandler adds the trace and the fields of a request, and follows LOG_LEVEL.
type logHandler struct{ slog.Handler }

func (logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= levels[current.Load().LogLevel]
}

func (h logHandler) Handle(ctx context.Context, record slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		record.Add("trace_id", span.TraceID(), "span_id", span.SpanID())
	}
	for name, value := range fieldsOf(ctx) {
		record.Add(name, value)
	}
	return h.Handler.Handle(ctx, record)
}

func startLog() {
	options := &slog.HandlerOptions{ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.LevelKey {
			attr.Value = slog.StringValue(strings.ToLower(attr.Value.String()))
		}
		return attr
	}}
	service := []slog.Attr{slog.String("service", "inventory")}
	slog.SetDefault(slog.New(logHandler{slog.NewJSONHandler(os.Stdout, options).WithAttrs(service)}))
}

// A liveSampler keeps the traces that the current settings want, of those that start in this process.
type liveSampler struct{ limiter *rate.Limiter }

func (s liveSampler) ShouldSample(parameters sdk.SamplingParameters) sdk.SamplingResult {
	settings := current.Load()
	s.limiter.SetLimit(rate.Limit(settings.TracesPerSecond))
	s.limiter.SetBurst(settings.TracesPerSecond)
	ratio := 1.0
	switch settings.OtelTracesSampler {
	case "parentbased_always_off":
		ratio = 0
	case "parentbased_traceidratio":
		ratio, _ = strconv.ParseFloat(cmp.Or(settings.OtelTracesSamplerArg, "1"), 64)
	case "":
		if !s.limiter.Allow() {
			ratio = 0
		}
	}
	return sdk.TraceIDRatioBased(ratio).ShouldSample(parameters)
}

func (liveSampler) Description() string { return "as the settings say" }

// startTracing returns a function that exports the remaining spans.
func startTracing(ctx context.Context, settings *Settings) (stop func(context.Context) error, err error) {
	var exporter sdk.SpanExporter
	if settings.OtelExporterOtlpEndpoint != "" {
		// The exporter reads the other variables of OTLP itself.
		exporter, err = otlptracehttp.New(ctx, otlptracehttp.WithTimeout(5*time.Second))
	} else if settings.ZipkinEndpoint != "" {
		exporter, err = zipkin.New(settings.ZipkinEndpoint)
	}
	if err != nil {
		return nil, err
	}
	name := attribute.String("service.name", cmp.Or(settings.OtelServiceName, "inventory"))
	options := []sdk.TracerProviderOption{
		sdk.WithResource(resource.NewSchemaless(name)), sdk.WithSampler(sdk.ParentBased(liveSampler{rate.NewLimiter(0, 0)})),
	}
	if exporter != nil {
		options = append(options, sdk.WithBatcher(exporter))
	}
	provider := sdk.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { slog.Warn("exporting spans failed", "err", err.Error()) }))
	return provider.Shutdown, nil
}
