package main

import (
	"cmp"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
)

// A handler returns the status and the body of its response, or an error.
type handler func(w http.ResponseWriter, r *http.Request) (status int, body any, err error)

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, body, err := h(w, r)
	mediaType := "application/json"
	if err != nil {
		problem := *problemOf(err)
		problem.Instance, problem.RequestId = r.URL.Path, fieldsOf(r.Context())["request_id"]
		status, body, mediaType = problem.Status, problem, "application/problem+json"
		if status == 503 || status == 409 {
			w.Header().Set("retry-after", "1")
		}
		if status >= 500 {
			slog.ErrorContext(r.Context(), "request failed", "err", err.Error())
		}
	}
	if body != nil {
		w.Header().Set("content-type", mediaType)
	}
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

func always(status int, body any, err error) handler {
	return func(http.ResponseWriter, *http.Request) (int, any, error) { return status, body, err }
}

func (p *Problem) Error() string { return p.Type + ": " + p.Detail }

func fail(status int, slug, detail string, wrong ...Problem_Errors) *Problem {
	return &Problem{Type: "urn:sidecart:problem:" + slug, Title: http.StatusText(status), Status: status, Detail: detail, Errors: wrong}
}

func notFound(what string) *Problem { return fail(404, "not-found", what+" not found.") }

func invalidQuery(wrong ...Problem_Errors) *Problem {
	return fail(400, "invalid-query", "The query has invalid parameters. See `errors`.", wrong...)
}

// problemOf hides the internals of an error.
func problemOf(err error) *Problem {
	if known, isKnown := errors.AsType[*Problem](err); isKnown {
		return known
	} else if _, isTooLarge := errors.AsType[*http.MaxBytesError](err); isTooLarge {
		return fail(413, "too-large", "The body is larger than 100 KB.")
	} else if invalid, isInvalid := errors.AsType[*openapi3filter.RequestError](err); isInvalid {
		return problemOfRequest(err, invalid)
	} else if errors.Is(err, errUnavailable) || errors.Is(err, errConflict) {
		return fail(503, "unavailable", "The service is temporarily unavailable. Try again later.")
	}
	return fail(500, "internal-error", "An internal error occurred.")
}

// problemOfRequest looks for JSON first, and then takes the first thing that the validator found.
func problemOfRequest(err error, invalid *openapi3filter.RequestError) *Problem {
	_, isMalformed := errors.AsType[*json.SyntaxError](err)
	switch parameter := cmp.Or(invalid.Parameter, &openapi3.Parameter{}); {
	case isMalformed:
		return fail(400, "malformed-json", "The body is not valid JSON.")
	case parameter.In == "path":
		return notFound("Resource")
	case parameter.In == "query":
		return invalidQuery(wrongFields(err)...)
	case parameter.Name == "Idempotency-Key":
		return fail(400, "invalid-idempotency-key", "The Idempotency-Key must have 1 to 255 visible ASCII characters.")
	case parameter.Name == "x-caller-role" && invalid.Input.Request.Header.Get(parameter.Name) == "customer":
		return fail(403, "forbidden", "Only administrators can call this route.")
	case parameter.In == "header":
		return fail(401, "unauthenticated", "An access token is required.")
	case invalid.Err == nil:
		return fail(415, "unsupported-media-type", "Send the body as application/json.")
	}
	return fail(422, "invalid-input", "The body has invalid fields. See `errors`.", wrongFields(err)...)
}

// wrongFields lists what the validator found.
func wrongFields(err error) (wrong []Problem_Errors) {
	switch err := err.(type) {
	case openapi3.MultiError:
		for _, one := range err {
			wrong = append(wrong, wrongFields(one)...)
		}
		return slices.CompactFunc(wrong, func(one, next Problem_Errors) bool { return one.Field == next.Field })
	case *openapi3filter.RequestError:
		if err.Parameter == nil {
			return wrongFields(err.Err)
		}
		return []Problem_Errors{{err.Parameter.Name, "must be as openapi.json describes it"}}
	case *openapi3.SchemaError:
		path, unknown := err.JSONPointer(), ""
		if _, err := fmt.Sscanf(err.Reason, "property %q is unsupported", &unknown); err == nil {
			path = append(path, unknown)
		}
		return []Problem_Errors{{strings.Join(path, "."), err.Reason}}
	}
	return []Problem_Errors{{"", "is missing"}}
}

// validated checks a request against its operation in openapi.json.
func validated(pattern string, next handler) handler {
	method, path, _ := strings.Cut(pattern, " ")
	operation := spec.Paths.Value(path).GetOperation(method)
	route := &routers.Route{Spec: spec, Path: path, PathItem: spec.Paths.Value(path), Method: method, Operation: operation}
	options := &openapi3filter.Options{
		MultiError: true, SkipSettingDefaults: true, KeepValidatedValue: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}
	return func(w http.ResponseWriter, r *http.Request) (int, any, error) {
		input := &openapi3filter.RequestValidationInput{Request: r, Route: route, Options: options, PathParams: map[string]string{}}
		for _, parameter := range operation.Parameters {
			input.PathParams[parameter.Value.Name] = r.PathValue(parameter.Value.Name)
		}
		r.Body = http.MaxBytesReader(w, r.Body, 100<<10)
		if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
			return 0, nil, err
		}
		return next(w, r)
	}
}

// settled answers an event: DROP if it does not have its form, RETRY if it may succeed later. After eight seconds the sidecar would
// deliver the event again.
func settled(kind string, next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) (int, any, error) {
		ctx, cancel := context.WithTimeout(r.Context(), 7*time.Second)
		defer cancel()
		ctx, span := otel.Tracer("inventory").Start(ctx, "process "+kind, trace.WithSpanKind(trace.SpanKindConsumer))
		defer span.End()
		_, _, err := next(w, r.WithContext(ctx))
		fields := fieldsOf(r.Context())
		fields["event_type"], fields["outcome"] = kind, "SUCCESS"
		if _, isInvalid := errors.AsType[*openapi3filter.RequestError](err); isInvalid {
			fields["outcome"] = "DROP"
		} else if err != nil {
			fields["outcome"] = "RETRY"
			cause := "other"
			if errors.Is(err, errConflict) {
				cause = "conflict"
			} else if errors.Is(err, errUnavailable) {
				cause = "sidecar"
			}
			redeliveries.WithLabelValues(kind, cause).Inc()
			slog.WarnContext(r.Context(), "event failed; the sidecar will redeliver", "err", err.Error())
		}
		return 200, map[string]string{"status": fields["outcome"]}, nil
	}
}

func init() { openapi3filter.RegisterBodyDecoder("application/json", decodeBody) }

// decodeBody removes blanks around a name before it is validated.
func decodeBody(body io.Reader, _ http.Header, _ *openapi3.SchemaRef, _ openapi3filter.EncodingFn) (value any, err error) {
	text, err := io.ReadAll(body)
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	if fields, isObject := value.(map[string]any); isObject {
		if name, isText := fields["name"].(string); isText {
			fields["name"] = strings.TrimSpace(name)
		}
	}
	return value, err
}

// withBody decodes the body of a validated request.
func withBody[T any](next func(w http.ResponseWriter, r *http.Request, body *T) (int, any, error)) handler {
	return func(w http.ResponseWriter, r *http.Request) (int, any, error) {
		body, err := convert[T](r.Body.(interface{ ValidatedValue() any }).ValidatedValue())
		if err != nil {
			return 0, nil, err
		}
		return next(w, r, body)
	}
}

var requestID = regexp.MustCompile(`^[\w.-]{1,64}$`)

func isProbe(r *http.Request) bool {
	return slices.Contains([]string{"/healthz", "/readyz", "/metrics"}, r.URL.Path)
}

// observed gives a request its id, lets only the sidecar call, and logs and counts the request at its end.
func observed(token string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fields := map[string]string{"request_id": r.Header.Get("x-request-id")}
		if !requestID.MatchString(fields["request_id"]) {
			fields["request_id"] = uuid.NewString()
		}
		for field, header := range map[string]string{"caller_id": "x-caller-id", "caller_app": "dapr-caller-app-id"} {
			if value := r.Header.Get(header); value != "" {
				fields[field] = value
			}
		}
		w.Header().Set("x-request-id", fields["request_id"])
		w.Header().Set("cache-control", "no-store")
		// In place, because otelhttp reads the pattern that the mux sets.
		*r = *r.WithContext(context.WithValue(r.Context(), fieldsKey{}, fields))
		handle, isOpen := next, isProbe(r) || r.URL.Path == "/openapi.json" || r.URL.Path == "/asyncapi.json"
		if !isOpen && subtle.ConstantTimeCompare([]byte(r.Header.Get("dapr-api-token")), []byte(token)) != 1 {
			handle = always(0, nil, fail(401, "unauthenticated", "Only the sidecar may call this service."))
		}
		measured := httpsnoop.CaptureMetrics(handle, w, r)
		if isProbe(r) {
			return
		}
		_, pattern, _ := strings.Cut(r.Pattern, " ")
		route := cmp.Or(strings.NewReplacer("{", ":", "}", "").Replace(pattern), "none")
		labels := []string{"http", r.Method, route, strconv.Itoa(measured.Code)}
		requests.WithLabelValues(labels...).Inc()
		durations.WithLabelValues(labels...).Observe(measured.Duration.Seconds())
		fields["outcome"] = cmp.Or(fields["outcome"], outcomes[measured.Code/100], "ok")
		share, _ := strconv.ParseFloat(current.Load().LogSampleRatio, 64)
		if isRoutine := fields["outcome"] == "ok" || fields["outcome"] == "SUCCESS"; isRoutine && rand.Float64() >= share {
			return
		}
		slog.InfoContext(r.Context(), "request completed", "method", r.Method, "route", route, "path", r.URL.Path,
			"status", measured.Code, "duration_ms", float64(measured.Duration.Microseconds())/1000)
	})
}

var outcomes = map[int]string{4: "refused", 5: "failed"}
