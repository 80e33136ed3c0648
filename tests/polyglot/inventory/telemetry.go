package main

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/zipkin"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

type fieldsKey struct{}

// fieldsOf are the fields that every log line of a request has.
func fieldsOf(ctx context.Context) map[string]string {
	fields, _ := ctx.Value(fieldsKey{}).(map[string]string)
	return fields
}

func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

var logger *slog.Logger

func startLog(level string) {
	levels := map[string]slog.Level{"trace": -8, "debug": -4, "info": 0, "warn": 4, "error": 8, "fatal": 12, "silent": 99}
	rename := func(_ []string, attr slog.Attr) slog.Attr {
		if attr.Key == slog.LevelKey {
			attr.Value = slog.StringValue(strings.ToLower(attr.Value.String()))
		}
		return attr
	}
	options := &slog.HandlerOptions{Level: levels[level], ReplaceAttr: rename}
	logger = slog.New(slog.NewJSONHandler(os.Stdout, options)).With("service", "inventory")
}

func log(ctx context.Context, level slog.Level, message string, more ...any) {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		more = append(more, "trace_id", span.TraceID().String(), "span_id", span.SpanID().String())
	}
	for name, value := range fieldsOf(ctx) {
		more = append(more, name, value)
	}
	logger.Log(ctx, level, message, more...)
}

var (
	counters   = map[string]*prometheus.CounterVec{}
	gauges     = map[string]*prometheus.GaugeVec{}
	histograms = map[string]*prometheus.HistogramVec{}
)

// createMetrics registers the metrics of the document. Series whose labels are all known start at zero.
func createMetrics() {
	for _, one := range contract.Metrics {
		labels := slices.Sorted(maps.Keys(one.Labels))
		start := func(map[string]string) {}
		switch one.Type {
		case "counter":
			vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: one.Name, Help: one.Help}, labels)
			prometheus.MustRegister(vec)
			counters[one.Name] = vec
			start = func(values map[string]string) { vec.With(values) }
		case "gauge":
			gauges[one.Name] = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: one.Name, Help: one.Help}, labels)
			prometheus.MustRegister(gauges[one.Name])
		case "histogram":
			options := prometheus.HistogramOpts{Name: one.Name, Help: one.Help, Buckets: one.Buckets}
			histograms[one.Name] = prometheus.NewHistogramVec(options, labels)
			prometheus.MustRegister(histograms[one.Name])
		}
		if values, isList := one.Labels["status"].([]any); isList && len(one.Labels) == 1 {
			for _, value := range values {
				start(map[string]string{"status": value.(string)})
			}
		}
	}
}

// startTracing returns a function that exports the remaining spans.
func startTracing(settings map[string]string) func(context.Context) error {
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		log(context.Background(), slog.LevelWarn, "exporting spans failed", "problem", err.Error())
	}))
	name := settings["OTEL_SERVICE_NAME"]
	if name == "" {
		name = "inventory"
	}
	options := []sdk.TracerProviderOption{sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", name)))}
	// Every request has the trace of the sidecar, so no trace starts here unless a sampler is set.
	if settings["OTEL_TRACES_SAMPLER"] == "" {
		options = append(options, sdk.WithSampler(sdk.ParentBased(sdk.NeverSample())))
	}
	if settings["OTEL_EXPORTER_OTLP_ENDPOINT"] != "" {
		exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithTimeout(5*time.Second))
		must(err)
		options = append(options, sdk.WithBatcher(exporter))
	} else if settings["ZIPKIN_ENDPOINT"] != "" {
		exporter, err := zipkin.New(settings["ZIPKIN_ENDPOINT"])
		must(err)
		options = append(options, sdk.WithBatcher(exporter))
	}
	provider := sdk.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	return provider.Shutdown
}
