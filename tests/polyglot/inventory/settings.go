package main

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/getkin/kin-openapi/openapi3"
)

// current are the settings as the configuration store changed them last.
var current atomic.Pointer[Settings]

// settingOf is the value of a variable: a number if it must be one.
func settingOf(schema *openapi3.Schema, text string) any {
	if number, err := strconv.ParseUint(text, 10, 64); err == nil && schema.Type.Is("integer") {
		return float64(number)
	}
	return text
}

// readSettings names each wrong variable with its rule. It shows no value, because a value may be a secret.
func readSettings(textOf func(name string) string) (*Settings, error) {
	schema, values, rules := schemaOf("Settings"), map[string]any{}, []string{}
	for name, property := range schema.Properties {
		if text := textOf(name); text != "" {
			values[name] = settingOf(property.Value, text)
		}
	}
	err := schema.VisitJSON(values, openapi3.VisitAsRequest(), openapi3.DefaultsSet(func() {}), openapi3.MultiErrors())
	if err == nil {
		return convert[Settings](values)
	}
	for _, wrong := range wrongFields(err) {
		extensions := schema.Properties[wrong.Field].Value.Extensions
		rules = append(rules, fmt.Sprintf("%s: %s. For example: %[1]s=%[3]s", wrong.Field, extensions["x-rule"], extensions["x-example"]))
	}
	slices.Sort(rules)
	return nil, errors.New("The environment variables are wrong:\n  " + strings.Join(rules, "\n  "))
}

// refreshSettings applies the live variables of the configuration store, and ignores wrong values.
func (s *sidecar) refreshSettings(ctx context.Context) error {
	items := map[string]struct{ Value string }{}
	if _, err := send(s.R().SetContext(ctx).SetResult(&items), "GET", "/v1.0/configuration/settings"); err != nil {
		return err
	}
	settings, err := readSettings(func(name string) string {
		property, text := schemaOf("Settings").Properties[name].Value, items["inventory/"+name].Value
		if property.Extensions["x-live"] == true && text != "" && property.VisitJSON(settingOf(property, text)) == nil {
			return text
		}
		return os.Getenv(name)
	})
	if err == nil {
		current.Store(settings)
	}
	return err
}

//go:embed contract/catalogue.json
var catalogue []byte

// readCatalogue reads the products to start with.
func readCatalogue(path string) (products []*StoredProduct, err error) {
	text := catalogue
	if path != "" {
		if text, err = os.ReadFile(path); err != nil {
			return nil, errors.New("SEED_FILE: must be the path of a file that exists")
		}
	}
	var entries []map[string]any
	err = json.Unmarshal(text, &entries)
	for _, entry := range entries {
		entry["reserved"], entry["sold"], entry["stocked"], entry["revision"] = 0, 0, entry["on_hand"], 1
		entry["low_stock_threshold"] = cmp.Or(entry["low_stock_threshold"], any(defaultThreshold))
		if err == nil {
			err = schemaOf("StoredProduct").VisitJSON(entry)
		}
		product, problem := convert[StoredProduct](entry)
		products, err = append(products, product), cmp.Or(err, problem)
	}
	if err != nil {
		return nil, fmt.Errorf("SEED_FILE: the catalogue is wrong: %w", err)
	}
	return products, nil
}

// spec has the routes, the events, and the schemas of openapi.json and asyncapi.json.
var spec = func() *openapi3.T {
	loaded, err := GetSwagger()
	if err != nil {
		panic(err)
	}
	return loaded
}()

func schemaOf(name string) *openapi3.Schema { return spec.Components.Schemas[name].Value }

// convert makes a value of a type out of one that has its schema.
func convert[T any](value any) (*T, error) {
	text, err := json.Marshal(value)
	result := new(T)
	return result, cmp.Or(err, json.Unmarshal(text, result))
}
