package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed contract/*.json
var folder embed.FS

// The parts of openapi.json that this program reads.
var contract struct {
	Environment []struct {
		Name, Rule, Example string
		Required            bool
		Default             any
		Bounds              *struct{ Minimum, Maximum float64 }
	} `json:"x-environment"`
	Metrics []struct {
		Type, Name, Help string
		Labels           map[string]any
		Buckets          []float64
	} `json:"x-metrics"`
}

// The texts of the documents, for their routes.
var openapi, asyncapi = file("openapi.json"), file("asyncapi.json")

var (
	putBody     = compile(jsonschema.Draft2020, openapi, bodyOf("/api/inventory/{product_id}", "put"))
	restockBody = compile(jsonschema.Draft2020, openapi, bodyOf("/api/inventory/{product_id}/restock", "post"))
	returnBody  = compile(jsonschema.Draft2020, openapi, bodyOf("/returns/{order_id}/{return_id}", "put"))
	events      = map[string]*jsonschema.Schema{}
)

var productID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func init() {
	must(json.Unmarshal(openapi, &contract))
	for _, name := range []string{"created", "paid", "payment_failed", "cancelled", "expired"} {
		pointer := pointerTo("components", "messages", "order."+name, "payload")
		events["order."+name] = compile(jsonschema.Draft7, asyncapi, pointer)
	}
}

func file(name string) []byte {
	text, err := folder.ReadFile("contract/" + name)
	must(err)
	return text
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func bodyOf(path, method string) string {
	return pointerTo("paths", path, method, "requestBody", "content", "application/json", "schema")
}

// pointerTo is a JSON pointer as part of a URL.
func pointerTo(parts ...string) string {
	pointer := "#"
	for _, part := range parts {
		escaped := strings.ReplaceAll(strings.ReplaceAll(part, "~", "~0"), "/", "~1")
		pointer += "/" + url.PathEscape(escaped)
	}
	return pointer
}

func compile(draft *jsonschema.Draft, document []byte, pointer string) *jsonschema.Schema {
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	must(err)
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(draft)
	compiler.UseRegexpEngine(regexpOf)
	must(compiler.AddResource("document.json", parsed))
	schema, err := compiler.Compile("document.json" + pointer)
	must(err)
	return schema
}

var unicodeEscape = regexp.MustCompile(`\\u([0-9a-fA-F]{4})`)

type pattern struct{ *regexp.Regexp }

// regexpOf compiles a pattern of JSON Schema, whose \u0000 Go writes as \x{0000}.
func regexpOf(text string) (jsonschema.Regexp, error) {
	compiled, err := regexp.Compile(unicodeEscape.ReplaceAllString(text, `\x{$1}`))
	return pattern{compiled}, err
}

type fieldError struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// wrongFields lists what is wrong with a value, for the errors of a problem document.
func wrongFields(schema *jsonschema.Schema, value any) []fieldError {
	var invalid *jsonschema.ValidationError
	if !errors.As(schema.Validate(value), &invalid) {
		return nil
	}
	var found []fieldError
	var visit func(*jsonschema.ValidationError)
	visit = func(one *jsonschema.ValidationError) {
		for _, cause := range one.Causes {
			visit(cause)
		}
		if len(one.Causes) > 0 {
			return
		}
		names := []string{""}
		switch reason := one.ErrorKind.(type) {
		case *kind.Required:
			names = reason.Missing
		case *kind.AdditionalProperties:
			names = reason.Properties
		}
		for _, name := range names {
			path := strings.Trim(strings.Join(append(one.InstanceLocation, name), "."), ".")
			found = append(found, fieldError{path, "must be as the document describes it"})
		}
	}
	visit(invalid)
	return found
}

// readSettings reads the environment. Wrong variables end the process. No value is shown, because it may be a secret.
func readSettings() map[string]string {
	settings, problems := map[string]string{}, []string{}
	for index, variable := range contract.Environment {
		text := os.Getenv(variable.Name)
		switch {
		case text != "":
			schema := compile(jsonschema.Draft2020, openapi, pointerTo("x-environment", strconv.Itoa(index), "schema"))
			number, _ := strconv.ParseFloat(text, 64)
			bounds := variable.Bounds
			if schema.Validate(text) != nil || (bounds != nil && (number < bounds.Minimum || number > bounds.Maximum)) {
				rule := fmt.Sprintf("%s: %s. For example: %[1]s=%[3]s", variable.Name, variable.Rule, variable.Example)
				problems = append(problems, rule)
			}
		case variable.Required:
			problems = append(problems, fmt.Sprintf("%s: is missing. For example: %[1]s=%s", variable.Name, variable.Example))
		case variable.Default != nil:
			text = fmt.Sprint(variable.Default)
		}
		settings[variable.Name] = text
	}
	if len(problems) > 0 {
		exit("The environment variables are wrong:\n  " + strings.Join(problems, "\n  "))
	}
	return settings
}

func exit(problem string) {
	fmt.Fprintln(os.Stderr, problem)
	os.Exit(1)
}
