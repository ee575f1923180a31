package contract

import (
	"strings"
	"testing"
)

const sample = `{"openapi": "3.1.0", "paths": {
 "/a/{id}": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}}}, "404": {"$ref": "#/components/responses/404"}}}},
 "/a/all": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "array"}}}}}},
   "post": {"requestBody": {"content": {"application/json": {"schema": {"type": "object", "required": ["x"]}}}}, "responses": {}}}},
 "components": {"schemas": {"A": {"type": "object", "required": ["at"], "properties": {"at": {"type": "string", "format": "date-time"}}}},
   "responses": {"404": {"content": {"application/json": {"schema": {"type": "object", "required": ["code"]}}}}}}}`

// A checker that says yes to everything would prove nothing of the portal.
func TestContract(t *testing.T) {
	t.Parallel()
	d, err := Read([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path   string
		status int
		body   string
		wrong  string // "": it fits
	}{
		{"/a/1", 200, `{"at": "2026-01-02T03:04:05Z"}`, ""},
		{"/a/1?q=x", 200, `{"at": "2026-01-02T03:04:05Z"}`, ""},
		{"/a/1", 200, `{"at": "yesterday"}`, "date-time"},
		{"/a/1", 200, `{}`, "missing property"},
		{"/a/1", 200, `<html>`, "invalid character"},
		{"/a/1", 404, `{"code": "x"}`, ""},
		{"/a/1", 404, `{}`, "missing property"},
		{"/a/1", 403, `{}`, "answers 403"},
		{"/a/all", 200, `[]`, ""},
		{"/a/all", 200, `{"at": "2026-01-02T03:04:05Z"}`, "want array"},
		{"/a/", 200, `{}`, "not in the document"},
		{"/b", 200, `{}`, "not in the document"},
	} {
		err := d.Answer("GET", c.path, c.status, []byte(c.body))
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s %d %s: %v, want %q", c.path, c.status, c.body, err, c.wrong)
		}
	}
	if d.Sent("POST", "/a/all", []byte(`{"x": 1}`)) != nil || d.Sent("POST", "/a/all", []byte(`{}`)) == nil {
		t.Error("the body of a call is not looked at")
	}
	if got := len(d.Calls()); got != 3 {
		t.Errorf("%d calls", got)
	}
	for _, text := range []string{``, `[]`, `{"openapi": "3.0.0", "paths": {}}`, `{"openapi": "3.1.0"}`} {
		if _, err := Read([]byte(text)); err == nil {
			t.Errorf("%q is read", text)
		}
	}
}
