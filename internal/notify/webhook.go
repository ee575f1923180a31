package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

// Webhook sends messages as signed JSON.
type Webhook struct {
	URL    string
	Secret secret.Text
	Now    func() time.Time
	Client *http.Client // nil: one that follows no redirect
}

// The headers of a signed message.
const (
	HeaderID        = "Postern-Id"        // the same at every attempt: who has seen it has it already
	HeaderTimestamp = "Postern-Timestamp" // seconds since 1970, part of what is signed
	HeaderSignature = "Postern-Signature" // v1=, then HMAC-SHA-256 in hex over "timestamp.body"
)

// Name implements Transport.
func (w *Webhook) Name() string { return "webhook" }

// Signature is what a receiver works out and compares in constant time.
func Signature(key secret.Text, timestamp string, body []byte) string {
	h := hmac.New(sha256.New, []byte(key.Reveal()))
	_, _ = io.WriteString(h, timestamp+".") // a hash never fails
	_, _ = h.Write(body)
	return "v1=" + hex.EncodeToString(h.Sum(nil))
}

// Send implements Transport.
func (w *Webhook) Send(ctx context.Context, m *Message) error {
	if m.To == "" {
		return ErrNotThisWay // it is for a channel in Slack; people are told of the same
	}
	body, err := json.Marshal(m)
	if err != nil {
		return &Permanent{err}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return &Permanent{err}
	}
	at := strconv.FormatInt(w.Now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(HeaderID, m.ID)
	r.Header.Set(HeaderTimestamp, at)
	r.Header.Set(HeaderSignature, Signature(w.Secret, at, body))
	client := w.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	answer, err := client.Do(r)
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err // without the address: what stands in its path is often a secret, and this goes to the log and to people
	}
	if err != nil {
		return fmt.Errorf("call the webhook: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	failed := errors.New("the webhook answered " + answer.Status)
	switch code := answer.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After")) // absent or a date: the usual wait
		return &Later{failed, time.Duration(seconds) * time.Second}
	case code >= 500, code == http.StatusRequestTimeout:
		return failed
	}
	return &Permanent{failed}
}
