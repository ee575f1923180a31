package portal_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-sec/postern/internal/identity"
	"github.com/postern-sec/postern/internal/portal"
)

var update = flag.Bool("update", false, "write the OpenAPI document instead of comparing")

// TestDocument holds the OpenAPI document that is served, and its copy in docs/reference, to the calls that there are.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := json.MarshalIndent(describe(t, portal.New(portal.Config{}).Calls()), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	for _, path := range []string{"openapi.json", "../../docs/reference/openapi.json"} {
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // published documentation
				t.Fatal(err)
			}
			continue
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s is not what the calls say (%v); go test ./internal/portal -run Document -update writes it", path, err)
		}
	}
}

// object is an object of JSON.
type object map[string]any

// statusWords say what a status means here.
var statusWords = map[int]string{
	400: "What was sent cannot be read, or there is no such thing to ask for. While somebody is waited for at a browser: not yet.",
	401: "Nobody is signed in, or what should prove it is wrong or over.",
	403: "No: the token's scope, the role, or whoever decides about this does not allow it. The code says which.",
	404: "There is no such thing.",
	409: "Somebody else was faster: look at it again.",
	500: "It could not be done at the moment; the log of Postern says why.",
	503: "The identity provider cannot be reached.",
}

// describe writes the document.
func describe(t *testing.T, calls []portal.Call) object {
	s := &schemas{t: t, made: object{}, of: map[string]reflect.Type{}, said: map[string]*comments{}}
	paths, responses := object{}, object{}
	for status, words := range statusWords {
		responses[strconv.Itoa(status)] = object{"description": words, "content": content(s.schema(reflect.TypeFor[portal.Problem](), false))}
	}
	for _, c := range calls {
		method, path, _ := strings.Cut(c.Pattern, " ")
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(method)] = s.operation(&c)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Postern: the portal's interface", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "Everything that the portal's pages do, for programs. A page and its call stand on the same method: who may do what, and what the trail says of it, is the same.",
		},
		"servers": []any{object{"url": "/", "description": "where the portal listens"}},
		"paths":   paths,
		"components": object{"schemas": s.made, "responses": responses, "securitySchemes": object{
			"session": object{"type": "http", "scheme": "bearer", "description": "The token of a session: what POST /api/v1/login answers at the end of a sign-in."},
			"sign_in": object{"type": "http", "scheme": "bearer", "description": "The token of a sign-in that is under way: what a step of it answers together with the next step."},
			"token":   object{"type": "http", "scheme": "bearer", "description": "A token for programs, with scopes: " + scopeNames() + ". What its owner may not do, it may not either; the owner's role counts with scope inspect alone."},
		}},
	}
}

func scopeNames() string {
	var out []string
	for _, s := range identity.Scopes() {
		out = append(out, string(s))
	}
	return strings.Join(out, ", ")
}

func content(schema any) object { return object{"application/json": object{"schema": schema}} }

var pathParameter = regexp.MustCompile(`\{([a-z]+)\}`)

func (s *schemas) operation(c *portal.Call) object {
	method, path, _ := strings.Cut(c.Pattern, " ")
	path = strings.TrimPrefix(path, "/api/v1/")
	id := strings.ToLower(method)
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/{}.-_", r) }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	tag, _, _ := strings.Cut(path, "/")
	answers := object{"200": object{"description": "Done.", "content": content(s.schema(c.Out, false))}}
	for _, status := range c.Statuses() {
		answers[strconv.Itoa(status)] = object{"$ref": "#/components/responses/" + strconv.Itoa(status)}
	}
	out := object{"operationId": id, "summary": c.Summary, "tags": []string{tag}, "responses": answers, "security": security(c.Scope)}
	if roles := c.Roles(); len(roles) < 6 {
		out["x-roles"] = roles
		out["description"] = "For " + strings.NewReplacer("owner", "owners of datasets", "none", "everybody").Replace(strings.Join(roles, ", ")) + "."
	}
	parameters := []any{}
	for _, m := range pathParameter.FindAllStringSubmatch(path, -1) {
		parameters = append(parameters, object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}})
	}
	switch {
	case c.In.NumField() == 0:
	case method == http.MethodGet:
		for _, f := range s.fields(c.In) {
			parameters = append(parameters, object{"name": f.name, "in": "query", "description": f.words, "schema": s.schema(f.typ, true)})
		}
	default:
		out["requestBody"] = object{"required": true, "content": content(s.schema(c.In, true))}
	}
	if len(parameters) > 0 {
		out["parameters"] = parameters
	}
	return out
}

// security says with what a call is made: one of the alternatives is enough.
func security(scope identity.Scope) []any {
	session := object{"session": []string{}}
	switch scope {
	case "-":
		return []any{}
	case "+":
		return []any{object{"sign_in": []string{}}}
	case "":
		return []any{session}
	case "*":
		return []any{session, object{"token": []string{}}}
	}
	return []any{session, object{"token": []string{string(scope)}}}
}

// TestDocumentMeansSomething: references lead somewhere, names are told once, every scope opens something, and every field of what
// goes in has its words.
func TestDocumentMeansSomething(t *testing.T) {
	t.Parallel()
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Security    []map[string][]string
			Parameters  []struct{ Name, In, Description string }
		}
		Components map[string]map[string]any
	}
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"\$ref": "#/components/(\w+)/(\w+)"`).FindAllStringSubmatch(string(text), -1) {
		if doc.Components[m[1]][m[2]] == nil {
			t.Errorf("%s leads nowhere", m[0])
		}
	}
	ids, scopes, n := map[string]bool{}, map[string]bool{}, 0
	for path, methods := range doc.Paths {
		for method, o := range methods {
			n++
			if ids[o.OperationID] {
				t.Errorf("%s %s: there is another %s", method, path, o.OperationID)
			}
			ids[o.OperationID] = true
			for _, way := range o.Security {
				for _, s := range way["token"] {
					scopes[s] = true
				}
			}
			for _, p := range o.Parameters {
				if p.In == "query" && p.Description == "" {
					t.Errorf("%s %s: parameter %s is not explained", method, path, p.Name)
				}
			}
		}
	}
	for _, s := range identity.Scopes() {
		if !scopes[string(s)] && s != identity.ScopeGateway {
			t.Errorf("no call wants scope %s", s)
		}
	}
	if calls := portal.New(portal.Config{}).Calls(); n != len(calls) || slices.ContainsFunc(calls, func(c portal.Call) bool { return c.Summary == "" }) {
		t.Errorf("%d calls in the document, %d in the portal; or one without a summary", n, len(calls))
	}
}
