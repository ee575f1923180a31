package site

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/pgtest"
)

// Portal calls the JSON interface of a portal the way a program would.
type Portal struct {
	URL  string // where it will be served
	Port int
}

// NewPortal chooses where a portal will be: a policy file has to say it before anything is served.
func NewPortal(t testing.TB) Portal {
	t.Helper()
	port, err := pgtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return Portal{fmt.Sprintf("http://127.0.0.1:%d", port), port}
}

// Wait returns once the portal listens, which it does after the gateway.
func (p Portal) Wait(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(startLimit); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.URL, "http://"))
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the portal does not listen within %v: %v", startLimit, err)
		}
	}
}

// Try makes a call with somebody's token, or with none, and returns its status and what its body says. A good answer is read into out.
func (p Portal) Try(t testing.TB, token, method, path string, body, out any) (status int, said string) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, p.URL+"/api/v1/"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var all bytes.Buffer
	if _, err := all.ReadFrom(answer.Body); err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusOK && out != nil {
		if err := json.Unmarshal(all.Bytes(), out); err != nil {
			t.Fatalf("%s %s: %v\n%s", method, path, err, all.Bytes())
		}
	}
	return answer.StatusCode, all.String()
}
