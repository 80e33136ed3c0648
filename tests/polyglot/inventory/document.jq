# Makes one document of openapi.json and asyncapi.json, in the form that Go's tools know: OpenAPI 3.0. Events become routes. The
# environment and the documents of the state become schemas.

def capitalized: (.[:1] | ascii_upcase) + .[1:];
def type_name: split(":") | map(select(test("{") | not) | capitalized) | "Stored" + join("");
def field_name: split("_") | map(ascii_downcase | capitalized) | join("");

def for_go:
  if type != "object" then .
  else
    if has("const") then .enum = [.const] | del(.const) else . end
    | if .type | type == "array" then .nullable = true | .type = .type[0] | ."x-go-type-skip-optional-pointer" = false else . end
    | if .format == "date-time" then del(.format) else . end
    | if .additionalProperties == {} then del(.additionalProperties) else . end
    | if .pattern | type == "string" then .pattern |= gsub("\\\\u(?<code>\\w{4})"; "\\x{" + .code + "}") else . end
    | if (.properties | type == "object") and (.properties | keys - ["name", "unit_price"]) == ["product_id", "quantity"]
      then ."x-go-type" = "Line" else . end
  end;

def setting:
  (if .bounds then {type: "integer"} + .bounds else .schema end)
  + {description, default, "x-go-name": (.name | field_name), "x-rule": .rule, "x-example": .example, "x-live": .live}
  | if .type == "string" and .default != null then .default |= tostring else . end
  | with_entries(select(.value != null));

.[0] as $openapi | .[1] as $asyncapi
| ([$asyncapi.operations[] | select(.action == "receive") | {path: ."x-http".path, type: (.channel."$ref" | split("/")[-1])}]) as $received
| ($openapi["x-state"] | map(select(.schema.type == "object") | {key: (.key | type_name), value: .schema}) | from_entries) as $stored
| {openapi: "3.0.3", info: ($openapi.info | {title, version}), paths: $openapi.paths, components: $openapi.components}
| .components.schemas += $stored + {
    Line: $stored.StoredReservation.properties.lines.items,
    OrderEvent: $asyncapi.components.messages[$received[0].type].payload,
    Settings: {
      type: "object",
      required: [$openapi["x-environment"][] | select(.required) | .name],
      properties: ($openapi["x-environment"] | map({key: .name, value: setting}) | from_entries)
    }
  }
| .paths += ($received | map({key: .path, value: {post: {
    operationId: ("receive " + .type),
    security: [{sidecar: []}],
    requestBody: {
      required: true,
      content: {"application/*": {schema: ($asyncapi.components.messages[.type].payload + {"x-go-type": "OrderEvent"})}}
    },
    responses: {"200": {description: "SUCCESS, RETRY or DROP"}}
  }}}) | from_entries)
| .paths[][].responses |= with_entries(select(.key | startswith("2")))
# The routes of customers do not need to know who calls.
| (.paths[][] | select(."x-access" == "customer") | .parameters[] | select(.in == "header") | .required) = false
| (.paths[][] | select(."x-access" == "admin") | .parameters[] | select(.name == "x-caller-role") | .schema.enum) = ["admin"]
# A parameter that is given twice is invalid.
| .paths[][].parameters[]? |= (if .in == "query" then .schema |= {type: "array", maxItems: 1, items: .} else . end)
| del(.. | .examples?, .links?)
| walk(for_go)
| del(.components.schemas.Line."x-go-type")
