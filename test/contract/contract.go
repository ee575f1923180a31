// Package contract holds what the portal answers to the OpenAPI document that it serves. It reads the document as any other program
// would, and imports nothing of the product.
package contract

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// name is what the document is called among schemas.
const name = "openapi.json"

// ErrUnknown says that the document has no such call.
var ErrUnknown = errors.New("not in the document")

// Document is an OpenAPI document. It is safe for concurrent use.
type Document struct {
	root     map[string]any
	paths    map[string]any
	mu       sync.Mutex // of compiler and schemas
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
}

// Read reads a document.
func Read(text []byte) (*Document, error) {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	root, ok := v.(map[string]any)
	if !ok || !strings.HasPrefix(fmt.Sprint(root["openapi"]), "3.1.") {
		return nil, errors.New("this is no OpenAPI 3.1 document")
	}
	d := &Document{root: root, compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	if d.paths, ok = root["paths"].(map[string]any); !ok {
		return nil, errors.New("the document has no paths")
	}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource(name, root)
}

// Answer says what the document does not know of an answer: the call, its status, or the form of its body.
func (d *Document) Answer(method, path string, status int, body []byte) error {
	at, operation := d.find(method, path)
	if operation == nil {
		return fmt.Errorf("%s %s: %w", method, path, ErrUnknown)
	}
	answers, _ := operation["responses"].(map[string]any)
	answer, ok := answers[strconv.Itoa(status)].(map[string]any)
	if !ok {
		return fmt.Errorf("%s %s answers %d, which the document does not say", method, path, status)
	}
	at += "/responses/" + strconv.Itoa(status)
	if ref, ok := answer["$ref"].(string); ok {
		at = ref
	}
	return d.fits(at+"/content/application~1json/schema", body)
}

// Sent says what the document would not have in the body of a call.
func (d *Document) Sent(method, path string, body []byte) error {
	at, operation := d.find(method, path)
	if operation == nil || operation["requestBody"] == nil {
		return nil
	}
	return d.fits(at+"/requestBody/content/application~1json/schema", body)
}

// find looks for the operation of a call. Of two that fit, the one with more words of its own is meant, as at the portal.
func (d *Document) find(method, path string) (at string, operation map[string]any) {
	path, _, _ = strings.Cut(path, "?")
	most := -1
	for pattern, methods := range d.paths {
		words, ok := matches(pattern, path)
		methods, _ := methods.(map[string]any)
		found, is := methods[strings.ToLower(method)].(map[string]any)
		if ok && is && words > most {
			most, operation = words, found
			at = "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(pattern) + "/" + strings.ToLower(method)
		}
	}
	return at, operation
}

// matches says whether a path is one of a pattern's, and how many parts of it are words.
func matches(pattern, path string) (words int, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return 0, false
	}
	for i, part := range want {
		switch {
		case part == have[i]:
			words++
		case !strings.HasPrefix(part, "{") || have[i] == "":
			return 0, false
		}
	}
	return words, true
}

func (d *Document) fits(at string, body []byte) error {
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.schemas[at]
	if s == nil {
		if s, err = d.compiler.Compile(name + at); err != nil {
			return err
		}
		d.schemas[at] = s
	}
	return s.Validate(v)
}

// Calls lists the calls of the document, as "METHOD path", without parameters filled in.
func (d *Document) Calls() []string {
	var out []string
	for path, methods := range d.paths {
		for _, m := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if methods, _ := methods.(map[string]any); methods[strings.ToLower(m)] != nil {
				out = append(out, m+" "+path)
			}
		}
	}
	return out
}
