package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/go-resty/resty/v2"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const state = "/v1.0/state/statestore"

var (
	errConflict    = errors.New("another writer saved a document first")
	errUnavailable = errors.New("the sidecar or a component behind it is unavailable")
	lostRace       = regexp.MustCompile(`(?i)etag|no item was updated`)
	timesToLive    = map[string]string{"restock": "86400", "idempotency": "86400"}
)

// A sidecar is a client of Dapr's HTTP API.
type sidecar struct {
	*resty.Client
	// Decisions of one process wait for each other, instead of losing races against each other.
	deciding sync.Mutex
}

func newSidecar(settings *Settings) *sidecar {
	client := resty.New().SetBaseURL(fmt.Sprintf("http://127.0.0.1:%d", settings.DaprHttpPort)).SetTimeout(15 * time.Second)
	client.SetTransport(otelhttp.NewTransport(&http.Transport{MaxIdleConnsPerHost: 256}))
	client.OnBeforeRequest(func(_ *resty.Client, r *resty.Request) error {
		r.SetHeader("dapr-api-token", settings.DaprApiToken)
		if id := fieldsOf(r.Context())["request_id"]; id != "" {
			r.SetHeader("x-request-id", id)
		}
		return nil
	})
	return &sidecar{Client: client}
}

func send(request *resty.Request, method, path string) (*resty.Response, error) {
	response, err := request.Execute(method, path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errUnavailable, err)
	case response.StatusCode() == http.StatusConflict, response.StatusCode() == 500 && lostRace.Match(response.Body()):
		return nil, errConflict
	case response.IsError(), response.StatusCode() == http.StatusOK && len(response.Body()) == 0:
		return nil, fmt.Errorf("%w: %s %s: %d", errUnavailable, method, path, response.StatusCode())
	}
	return response, nil
}

// publish sends an event, whose id, subject, time and data follow from a stored document.
func (s *sidecar) publish(ctx context.Context, kind, id, subject, at string, data any) error {
	event := map[string]any{
		"specversion": "1.0", "datacontenttype": "application/json", "source": "inventory",
		"type": kind, "id": id, "subject": subject, "time": at, "data": data,
	}
	request := s.R().SetContext(ctx).SetHeader("content-type", "application/cloudevents+json").SetBody(event)
	_, err := send(request, "POST", "/v1.0/publish/pubsub/"+kind)
	return err
}

// A transaction loads documents, and saves those that changed, all or none. A document that does not exist is a zero value. If a load
// fails, so do those after it: they return zero values, nothing is saved, and err is the reason.
type transaction struct {
	ctx       context.Context
	sidecar   *sidecar
	documents []document
	err       error
}

type document struct {
	key, etag string
	value     any
	loaded    []byte
}

func load[T any](t *transaction, key string) *T {
	if t.err != nil {
		return new(T)
	}
	response, err := send(t.sidecar.R().SetContext(t.ctx), "GET", state+"/"+url.PathEscape(key))
	if err != nil {
		t.err = err
		return new(T)
	}
	return keep[T](t, key, response.Header().Get("etag"), response.Body())
}

// loadAll loads documents with these ids. A bulk read that misses a document may be wrong, so that document is loaded alone.
func loadAll[T any](t *transaction, prefix string, ids []string) map[string]*T {
	found, keys := map[string]*T{}, []string{}
	for _, id := range ids {
		keys = append(keys, prefix+id)
	}
	var rows []struct {
		Key, Etag string
		Data      json.RawMessage
	}
	if t.err == nil && len(keys) > 1 {
		request := t.sidecar.R().SetContext(t.ctx).SetBody(map[string]any{"keys": keys, "parallelism": 10}).SetResult(&rows)
		_, t.err = send(request, "POST", state+"/bulk")
	}
	for _, row := range rows {
		if row.Etag != "" {
			found[strings.TrimPrefix(row.Key, prefix)] = keep[T](t, row.Key, row.Etag, row.Data)
		}
	}
	for _, id := range ids {
		if found[id] == nil {
			found[id] = load[T](t, prefix+id)
		}
	}
	return found
}

func keep[T any](t *transaction, key, etag string, text []byte) *T {
	value := new(T)
	if len(text) > 0 {
		t.err = json.Unmarshal(text, value)
	}
	loaded, err := json.Marshal(value)
	t.err = cmp.Or(t.err, err)
	t.documents = append(t.documents, document{key, etag, value, loaded})
	return value
}

func (t *transaction) save() error {
	var operations []map[string]any
	for _, one := range t.documents {
		encoded, err := json.Marshal(one.value)
		if t.err = cmp.Or(t.err, err); t.err != nil || bytes.Equal(encoded, one.loaded) {
			continue
		}
		request := map[string]any{"key": one.key, "value": one.value, "options": map[string]string{"concurrency": "first-write"}}
		if one.etag != "" {
			request["etag"] = one.etag
		}
		form, _, _ := strings.Cut(one.key, ":")
		if ttl, isLimited := timesToLive[form]; isLimited {
			request["metadata"] = map[string]string{"ttlInSeconds": ttl}
		}
		operations = append(operations, map[string]any{"operation": "upsert", "request": request})
	}
	if t.err != nil || operations == nil {
		return t.err
	}
	request := t.sidecar.R().SetContext(t.ctx).SetBody(map[string]any{"operations": operations})
	_, err := send(request, "POST", state+"/transaction")
	return err
}

func (s *sidecar) begin(ctx context.Context) *transaction { return &transaction{ctx: ctx, sidecar: s} }

// pauses are random, so that writers who lost a race do not meet again.
func pauses(first time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{InitialInterval: first, RandomizationFactor: 1, Multiplier: 1.5, MaxInterval: 5 * time.Second}
}

// decide saves what change makes of the documents that it loads. If another writer was faster, it loads and decides again.
func (s *sidecar) decide(ctx context.Context, change func(t *transaction) error) error {
	s.deciding.Lock()
	defer s.deciding.Unlock()
	_, err := backoff.Retry(ctx, func() (any, error) {
		t := s.begin(ctx)
		err := change(t)
		if err = cmp.Or(t.err, err); err == nil {
			err = t.save()
		}
		if !errors.Is(err, errConflict) {
			err = backoff.Permanent(err)
		}
		return nil, err
	}, backoff.WithBackOff(pauses(5*time.Millisecond)), backoff.WithMaxTries(10))
	return err
}
