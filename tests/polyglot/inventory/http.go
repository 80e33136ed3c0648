package main

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

// A problem is the body of an error response: RFC 9457.
type problem struct {
	status       int
	slug, detail string
	errors       []fieldError
}

func (p *problem) Error() string { return p.slug + ": " + p.detail }

func notFound(what string) error { return &problem{404, "not-found", what + " not found.", nil} }

func invalidQuery(field, message string) error {
	wrong := []fieldError{{field, message}}
	return &problem{400, "invalid-query", "The query has invalid parameters. See `errors`.", wrong}
}

// toProblem hides the internals of an error.
func toProblem(err error) *problem {
	var known *problem
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, errUnavailable), errors.Is(err, errConflict):
		return &problem{503, "unavailable", "The service is temporarily unavailable. Try again later.", nil}
	}
	return &problem{500, "internal-error", "An internal error occurred.", nil}
}

func sendProblem(w http.ResponseWriter, r *http.Request, err error) {
	p := toProblem(err)
	if p.status >= 500 {
		log(r.Context(), slog.LevelError, "request failed", "err", err.Error())
	}
	body := map[string]any{
		"type": "urn:sidecart:problem:" + p.slug, "title": http.StatusText(p.status), "status": p.status,
		"detail": p.detail, "instance": r.URL.Path, "request_id": fieldsOf(r.Context())["request_id"],
	}
	if len(p.errors) > 0 {
		body["errors"] = p.errors
	}
	if p.status == 503 || strings.HasSuffix(p.slug, "in-use") {
		w.Header().Set("retry-after", "1")
	}
	w.Header().Set("content-type", "application/problem+json")
	w.Header().Set("cache-control", "no-store")
	w.WriteHeader(p.status)
	_ = json.NewEncoder(w).Encode(body)
}

func sendJSON(w http.ResponseWriter, status int, body any) error {
	w.Header().Set("content-type", "application/json")
	if w.Header().Get("cache-control") == "" {
		w.Header().Set("cache-control", "no-store")
	}
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(body)
}

// A handler returns an error instead of sending it.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h(w, r); err != nil {
		sendProblem(w, r, err)
	}
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

var requestID = regexp.MustCompile(`^[\w.-]{1,64}$`)

// A path with "open" needs no token. Probes are neither logged nor counted.
var (
	probes = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}
	open   = map[string]bool{"/openapi.json": true, "/asyncapi.json": true}
)

// inRequest gives a request its id and trace, checks the token, and logs and counts the request at its end.
func inRequest(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started, id := time.Now(), r.Header.Get("x-request-id")
		if !requestID.MatchString(id) {
			id = uuid.NewString()
		}
		fields := map[string]string{"request_id": id}
		for field, header := range map[string]string{"caller_id": "x-caller-id", "caller_app": "dapr-caller-app-id"} {
			if value := r.Header.Get(header); value != "" {
				fields[field] = value
			}
		}
		ctx := otel.GetTextMapPropagator().Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		r = r.WithContext(context.WithValue(ctx, fieldsKey{}, fields))
		recorded := &recorder{w, 200}
		w.Header().Set("x-request-id", id)
		given := []byte(r.Header.Get("dapr-api-token"))
		if probes[r.URL.Path] || open[r.URL.Path] || subtle.ConstantTimeCompare(given, []byte(token)) == 1 {
			next.ServeHTTP(recorded, r)
		} else {
			sendProblem(recorded, r, &problem{401, "unauthenticated", "Only the sidecar may call this service.", nil})
		}
		if probes[r.URL.Path] {
			return
		}
		_, route, isMatched := strings.Cut(r.Pattern, " ")
		if !isMatched {
			route = "none"
		}
		route = regexp.MustCompile(`\{(\w+)\}`).ReplaceAllString(route, ":$1")
		seconds := time.Since(started).Seconds()
		labels := map[string]string{"protocol": "http", "method": r.Method, "route": route, "status": strconv.Itoa(recorded.status)}
		counters["requests_total"].With(labels).Inc()
		histograms["request_duration_seconds"].With(labels).Observe(seconds)
		if _, isEvent := fields["outcome"]; !isEvent {
			fields["outcome"] = outcomeOf(recorded.status)
		}
		log(r.Context(), slog.LevelInfo, "request completed", "method", r.Method, "route", route, "path", r.URL.Path,
			"status", recorded.status, "duration_ms", float64(int(seconds*10_000))/10)
	})
}

func outcomeOf(status int) string {
	if status >= 500 {
		return "failed"
	}
	if status >= 400 {
		return "refused"
	}
	return "ok"
}

// validBody reads a body that has the schema.
func validBody(r *http.Request, schema *jsonschema.Schema, target any) error {
	var body any
	if err := bodyAs(r, &body); err != nil {
		return err
	}
	if wrong := wrongFields(schema, body); wrong != nil {
		return &problem{422, "invalid-input", "The body has invalid fields. See `errors`.", wrong}
	}
	// A JSON Schema takes 3.0 for an integer, and Go does not.
	normalized, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return json.Unmarshal(normalized, target)
}

// bodyAs reads a JSON body. An empty body is an empty object.
func bodyAs(r *http.Request, target any) error {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 100*1024+1))
	if err != nil {
		return &problem{400, "bad-request", "The request is malformed.", nil}
	}
	if len(raw) > 100*1024 {
		return &problem{413, "too-large", "The body is larger than 100 KB.", nil}
	}
	if len(raw) == 0 {
		raw = []byte("{}")
	} else if media := r.Header.Get("content-type"); !strings.Contains(media, "/json") && !strings.Contains(media, "+json") {
		return &problem{415, "unsupported-media-type", "Send the body as application/json.", nil}
	}
	if err := json.Unmarshal(raw, target); err != nil {
		return &problem{400, "malformed-json", "The body is not valid JSON.", nil}
	}
	return nil
}

var uuidText = regexp.MustCompile(`(?i)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// requireAdmin returns the id of the caller.
func requireAdmin(r *http.Request) (string, error) {
	caller, role := r.Header.Get("x-caller-id"), r.Header.Get("x-caller-role")
	if !uuidText.MatchString(caller) || (role != "admin" && role != "customer") {
		return "", &problem{401, "unauthenticated", "An access token is required.", nil}
	}
	if role != "admin" {
		return "", &problem{403, "forbidden", "Only administrators can call this route.", nil}
	}
	return strings.ToLower(caller), nil
}

// one is the only value of a query parameter, or the default.
func one(r *http.Request, name, otherwise string) (string, error) {
	values := r.URL.Query()[name]
	switch len(values) {
	case 0:
		return otherwise, nil
	case 1:
		return values[0], nil
	}
	return "", invalidQuery(name, fmt.Sprintf("must be given once, not %d times", len(values)))
}
