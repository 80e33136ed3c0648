package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// When the configuration store has live variables, then they apply, and wrong values and other variables do not.
func TestRefreshSettings(t *testing.T) {
	t.Setenv("APP_PORT", "8080")
	t.Setenv("DAPR_API_TOKEN", "one")
	t.Setenv("APP_API_TOKEN", "two")
	t.Setenv("LOG_LEVEL", "warn")
	items := map[string]map[string]string{}
	store := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(w).Encode(items)
	}))
	defer store.Close()
	address, _ := url.Parse(store.URL)
	port, _ := strconv.Atoi(address.Port())
	sidecar := newSidecar(&Settings{DaprHttpPort: port, DaprApiToken: "one"})
	for _, test := range []struct {
		key, value string
		want       func(*Settings) bool
	}{
		{"inventory/LOG_LEVEL", "debug", func(s *Settings) bool { return s.LogLevel == "debug" }},
		{"inventory/LOG_LEVEL", "loud", func(s *Settings) bool { return s.LogLevel == "warn" }},
		{"payments/LOG_LEVEL", "debug", func(s *Settings) bool { return s.LogLevel == "warn" }},
		{"inventory/TRACES_PER_SECOND", "0", func(s *Settings) bool { return s.TracesPerSecond == 0 }},
		{"inventory/TRACES_PER_SECOND", "-1", func(s *Settings) bool { return s.TracesPerSecond == 10 }},
		{"inventory/APP_PORT", "9090", func(s *Settings) bool { return s.AppPort == 8080 }},
	} {
		items = map[string]map[string]string{test.key: {"value": test.value}}
		if err := sidecar.refreshSettings(context.Background()); err != nil || !test.want(current.Load()) {
			t.Errorf("%s=%s: %v, %+v", test.key, test.value, err, current.Load())
		}
	}
}

// When variables are wrong, then the error names them with their rules, and shows no value.
func TestReadSettings(t *testing.T) {
	texts := map[string]string{"APP_PORT": "a secret", "APP_API_TOKEN": "two words", "DAPR_API_TOKEN": "token"}
	_, err := readSettings(func(name string) string { return texts[name] })
	if err == nil || !strings.Contains(err.Error(), "APP_PORT: must be a whole number") || !strings.Contains(err.Error(), "APP_API_TOKEN: ") {
		t.Error(err)
	}
	if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "two words") || strings.Contains(err.Error(), "DAPR_API_TOKEN") {
		t.Error(err)
	}
}
