package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

const state = "/v1.0/state/statestore"

var (
	// errConflict: another writer saved the document first.
	errConflict = errors.New("another writer saved the document first")
	// errUnavailable: the sidecar or a component behind it does not answer.
	errUnavailable = errors.New("unavailable")
)

// A sidecar is this service's client of Dapr's HTTP API.
type sidecar struct {
	base, token string
	client      *http.Client
}

func newSidecar(port, token string) *sidecar {
	transport := &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: 45 * time.Second}
	return &sidecar{"http://127.0.0.1:" + port, token, &http.Client{Transport: transport, Timeout: 15 * time.Second}}
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func (s *sidecar) call(ctx context.Context, method, path, contentType string, body any) (answer, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return answer{}, err
	}
	if body == nil {
		encoded = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(encoded))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("dapr-api-token", s.token)
	if body != nil {
		request.Header.Set("content-type", contentType)
	}
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(request.Header))
	if id := fieldsOf(ctx)["request_id"]; id != "" {
		request.Header.Set("x-request-id", id)
	}
	response, err := s.client.Do(request)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s %s", errUnavailable, method, path)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, fmt.Errorf("%w: %s %s", errUnavailable, method, path)
	}
	return answer{response.StatusCode, response.Header, read}, nil
}

func (s *sidecar) succeed(ctx context.Context, method, path, contentType string, body any) (answer, error) {
	got, err := s.call(ctx, method, path, contentType, body)
	if err == nil && got.status >= 300 {
		err = fmt.Errorf("%w: %s %s: %d", errUnavailable, method, path, got.status)
	}
	return got, err
}

type stored struct {
	value json.RawMessage
	etag  string
}

func (s *sidecar) load(ctx context.Context, key string) (*stored, error) {
	got, err := s.succeed(ctx, "GET", state+"/"+url.PathEscape(key), "", nil)
	if err != nil || got.status == http.StatusNoContent {
		return nil, err
	}
	return &stored{got.body, got.header.Get("etag")}, nil
}

// loadMany omits documents that do not exist. A bulk read that misses a document may be wrong, so it is loaded alone.
func (s *sidecar) loadMany(ctx context.Context, keys []string) (map[string]*stored, error) {
	found := map[string]*stored{}
	if len(keys) == 0 {
		return found, nil
	}
	got, err := s.succeed(ctx, "POST", state+"/bulk", "application/json", map[string]any{"keys": keys, "parallelism": 10})
	if err != nil {
		return nil, err
	}
	var rows []struct {
		Key, Etag, Error string
		Data             json.RawMessage
	}
	if got.status != http.StatusNoContent {
		if err := json.Unmarshal(got.body, &rows); err != nil {
			return nil, err
		}
	}
	for _, row := range rows {
		if row.Error != "" {
			return nil, fmt.Errorf("%w: %s", errUnavailable, row.Key)
		}
		if row.Etag != "" && string(row.Data) != "null" {
			found[row.Key] = &stored{row.Data, row.Etag}
		}
	}
	for _, key := range keys {
		if found[key] == nil {
			one, err := s.load(ctx, key)
			if err != nil {
				return nil, err
			}
			if one != nil {
				found[key] = one
			}
		}
	}
	return found, nil
}

type write struct {
	key        string
	value      any
	before     *stored
	ttlSeconds int
}

var lostRace = regexp.MustCompile(`(?i)etag|no item was updated`)

// save saves all documents or none.
func (s *sidecar) save(ctx context.Context, writes ...write) error {
	var entries, operations []any
	for _, one := range writes {
		entry := map[string]any{"key": one.key, "value": one.value, "options": map[string]string{"concurrency": "first-write"}}
		if one.before != nil {
			entry["etag"] = one.before.etag
		}
		if one.ttlSeconds > 0 {
			entry["metadata"] = map[string]string{"ttlInSeconds": fmt.Sprint(one.ttlSeconds)}
		}
		entries = append(entries, entry)
		operations = append(operations, map[string]any{"operation": "upsert", "request": entry})
	}
	var got answer
	var err error
	switch len(writes) {
	case 0:
		return nil
	case 1:
		got, err = s.call(ctx, "POST", state, "application/json", entries)
	default:
		got, err = s.call(ctx, "POST", state+"/transaction", "application/json", map[string]any{"operations": operations})
	}
	switch {
	case err != nil:
		return err
	case got.status == http.StatusConflict, got.status == 500 && lostRace.Match(got.body):
		return errConflict
	case got.status >= 300:
		return fmt.Errorf("%w: save: %d", errUnavailable, got.status)
	}
	return nil
}

// retryOnConflict repeats load, decide, save.
func retryOnConflict(attempt func() error) error {
	for tries := 1; ; tries++ {
		err := attempt()
		if !errors.Is(err, errConflict) || tries == 10 {
			return err
		}
		time.Sleep(time.Duration(rand.Float64() * 10 * float64(tries) * float64(time.Millisecond)))
	}
}

func (s *sidecar) publish(ctx context.Context, kind, id, subject, at string, data any) error {
	event := map[string]any{
		"specversion": "1.0", "datacontenttype": "application/json", "source": "inventory",
		"type": kind, "id": id, "subject": subject, "time": at, "data": data,
	}
	_, err := s.succeed(ctx, "POST", "/v1.0/publish/pubsub/"+kind, "application/cloudevents+json", event)
	return err
}

func (s *sidecar) isReady(ctx context.Context) bool {
	got, err := s.call(ctx, "GET", "/v1.0/healthz/outbound", "", nil)
	return err == nil && got.status == http.StatusNoContent
}
