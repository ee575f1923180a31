package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-sec/postern/internal/secret"
)

var update = flag.Bool("update", false, "write golden files and generated documents")

// testKey is the same in every test, so that golden vectors hold.
func testKey(t testing.TB) *Key {
	t.Helper()
	text, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := LoadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func otherKey(t testing.TB) *Key {
	t.Helper()
	text, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{8}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := LoadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// nasty strings for the encoder.
var nasty = []string{
	"plain", `quote " and \ backslash`, "line\nbreak\r\ttab\b\f", "\x00\x01\x1b[31m\x7f", "naïve 漢字 🎉", "bad \xff\xfe utf8 \xc3",
	"\u2028 and \u2029", "<script>&amp;</script>", `","prev":"x","hash":"y"}`, "\ufffd", strings.Repeat("a", 300),
}

// fillValue sets every field below v.
func fillValue(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.String:
		v.SetString(nasty[*n%len(nasty)])
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n) * -977)
	case reflect.Uint64:
		v.SetUint(uint64(*n) * 1_000_003)
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+*n%3, 1+*n%3))
		for i := range v.Len() {
			fillValue(v.Index(i), n)
		}
	case reflect.Map:
		m := map[string]string{}
		for i := range 5 {
			m[fmt.Sprint(*n*7%11, nasty[i])] = nasty[(*n+i)%len(nasty)]
		}
		v.Set(reflect.ValueOf(m))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fillValue(v.Elem(), n)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(int64(*n)*86_400, int64(*n)*1000).UTC()))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillValue(v.Field(i), n)
			}
		}
	default:
		panic("a kind of field that the encoder's test does not know: " + v.Kind().String())
	}
}

func TestEncoderEqualsEncodingJSON(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	for round := range 60 {
		n := round
		var r Record
		fillValue(reflect.ValueOf(&r.Event).Elem(), &n)
		switch round % 3 {
		case 0:
			r.Seal = &Seal{}
			fillValue(reflect.ValueOf(r.Seal).Elem(), &n)
		case 1:
			r.Event = Event{Seq: uint64(round), Time: r.Time, Kind: r.Kind}
		}
		got, h := appendRecord(nil, &r.Event, r.Seal, genesis, k)
		wantActorEqual(t, r, got, k)
		f, err := parseFrame(bytes.TrimSuffix(got, []byte("\n")))
		if r.Instance == "" || !strings.ContainsAny(r.Instance+string(r.Kind), `"\`) {
			if err != nil || !f.intact() {
				t.Fatalf("own record not read back: %v\n%s", err, got)
			}
		}
		r.Prev, r.Hash = string(genesis[:]), string(h[:])
		if r.Seal != nil {
			_, rest, _ := bytes.Cut(got, []byte(`"sig":"`))
			r.Sig = string(rest[:sigChars])
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(r); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("round %d\n got %s\nwant %s", round, got, want.Bytes())
		}
	}
}

// wantActorEqual encodes an event of an actor, which has to give the same bytes; with another application too.
func wantActorEqual(t *testing.T, r Record, want []byte, k *Key) {
	t.Helper()
	actor := NewActor(r.Event)
	var fresh, other Record
	fresh.Event, fresh.Seal = r.Event, r.Seal
	e := &fresh.Event
	e.Session, e.Subject, e.Groups, e.Role, e.Store, e.Profile, e.Rules = "", "", nil, "", "", "", nil
	e.Policy, e.Address, e.TLS, e.Method, e.App, e.Listener = "", "", "", "", "", ""
	other.Event = *e
	actor.Mark(e)
	if got, _ := appendRecord(nil, e, fresh.Seal, genesis, k); !bytes.Equal(got, want) {
		t.Fatalf("as an actor's\n got %s\nwant %s", got, want)
	}
	other.App = "another"
	actor.Mark(&other.Event)
	r.App = "another"
	got, _ := appendRecord(nil, &other.Event, r.Seal, genesis, k)
	if want, _ := appendRecord(nil, &r.Event, r.Seal, genesis, k); !bytes.Equal(got, want) {
		t.Fatalf("with another application\n got %s\nwant %s", got, want)
	}
}

// goldenEvents are encoded into testdata/vectors.jsonl: whoever changes the canonical bytes breaks every trail there is.
func goldenEvents() []Record {
	at := time.Date(2026, 10, 25, 1, 59, 59, 123_456_000, time.UTC)
	return []Record{
		{
			Event: Event{Time: at, Kind: Header},
			Seal:  &Seal{Public: "ed25519:x", Format: 1, File: fileName(1), Every: 1000},
		},
		{Event: Event{Time: at, Kind: ServeStart, ID: "0000000000000000"}},
		{Event: Event{
			Time: at.Add(time.Second), Kind: Decision, ID: "0000000000000001", Session: "s1", Subject: "ana",
			Groups: []string{"analysts", "eu"}, Role: "postern_ana", Store: "shop", Profile: "p_1", Rules: []string{"analysts-eu"},
			Policy: "abc", Address: "10.0.0.7:5123", TLS: "TLS 1.3", Method: "SCRAM-SHA-256-PLUS", App: "psql \"17\"\n", Listener: "tcp",
			Verdict: "rewrite", Reason: "masked", Message: "ok – naïve\x01\u2028", Statement: "SELECT email FROM customers WHERE id = $1",
			Opaque: &Opaque{Length: 3, HMAC: "00"}, Command: "SELECT",
			Touches: []Touch{
				{Relation: "shop.public.customers", Action: "read", Columns: []string{"email"}, Labels: []string{"contact.email"}, Rules: []string{"r1", "r2"}, Masked: true},
				{Relation: "shop.public.orders", Action: "read"},
			},
			Rows: 5, Bytes: 1234, DurationUS: 99, SQLState: "42501", Detail: map[string]string{"b": "2", "a": "1"},
		}},
		{Event: Event{Time: at.Add(time.Second), Kind: Checkpoint}, Seal: &Seal{}},
		{
			Event: Event{Time: at.Add(2 * time.Second), Kind: Recovery, Reason: ReasonTorn, Message: "m"},
			Seal:  &Seal{Torn: []Torn{{File: "f", Bytes: 12, SHA256: "aa"}}, From: 1, To: 2, Expected: "bb", Refused: 3},
		},
	}
}

func TestGoldenVectors(t *testing.T) {
	t.Parallel()
	k := testKey(t)
	var got []byte
	prev := genesis
	for i, r := range goldenEvents() {
		r.Seq, r.Instance = uint64(i)+1, "gw1"
		if r.Seal != nil {
			r.Seal.Key = k.id
		}
		got, prev = appendRecord(got, &r.Event, r.Seal, prev, k)
	}
	path := filepath.Join("testdata", "vectors.jsonl")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("the canonical bytes have changed\n got %s\nwant %s", got, want)
	}
	// The vectors by the words of the documentation, with nothing of this package.
	prevHash := strings.Repeat("0", 64)
	for _, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
		at := strings.LastIndex(line, `,"hash":"`)
		s := sha256.Sum256([]byte(line[:at]))
		if line[at:] != `,"hash":"`+hex.EncodeToString(s[:])+`"}` || !strings.Contains(line, `,"prev":"`+prevHash+`"`) {
			t.Fatalf("not chained as documented: %s", line)
		}
		prevHash = hex.EncodeToString(s[:])
	}
}

func TestKeyTellsNothing(t *testing.T) {
	t.Parallel()
	text, err := GenerateKey(bytes.NewReader(bytes.Repeat([]byte{7}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	k, err := LoadKey(text)
	if err != nil {
		t.Fatal(err)
	}
	seed := strings.TrimSpace(strings.TrimPrefix(text.Reveal(), keyPrefix+privateInfix))
	for _, out := range []string{fmt.Sprintf("%v %+v %#v %s %x", k, k, k, k, k), k.Public().String()} {
		if strings.Contains(out, seed) || strings.Contains(out, "07070707") || strings.Contains(out, "7 7 7 7") {
			t.Errorf("the key shows: %s", out)
		}
	}
	if _, err := json.Marshal(k); err == nil {
		t.Error("the key was marshalled")
	}
	back, err := ParsePublicKey(k.Public().String())
	if err != nil || back.ID() != k.Public().ID() {
		t.Errorf("public key does not survive its text: %v", err)
	}
	for _, bad := range []string{"", "ed25519:", seed, "ed25519:" + seed[1:], "ed25519:seed:" + seed + "A", "rsa:" + seed, k.Public().String()} {
		if _, err := LoadKey(secret.New(bad)); err == nil {
			t.Errorf("%q was taken for a key", bad)
		} else if strings.Contains(err.Error(), seed[5:20]) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
	if _, err := ParsePublicKey(text.Reveal()); err == nil {
		t.Error("a private key was taken for a public one")
	}
}

func TestOpaque(t *testing.T) {
	t.Parallel()
	a, b := testKey(t), otherKey(t)
	one := a.Opaque("select 'secret'")
	if one.Length != 15 || len(one.HMAC) != 64 || *one != *a.Opaque("select 'secret'") {
		t.Errorf("not stable: %+v", one)
	}
	if one.HMAC == a.Opaque("select 'Secret'").HMAC || one.HMAC == b.Opaque("select 'secret'").HMAC {
		t.Error("not keyed by statement and key")
	}
	plain := sha256.Sum256([]byte("select 'secret'"))
	if one.HMAC == hex.EncodeToString(plain[:]) {
		t.Error("a plain hash can be guessed")
	}
}

func TestIDsSortByTime(t *testing.T) {
	t.Parallel()
	src := idSource{random: bytes.NewReader(bytes.Repeat([]byte{0xff, 0, 0x80, 3, 9}, 10_000))}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var ids []string
	for range 500 {
		id, err := src.next(at)
		if err != nil {
			t.Fatal(err)
		}
		if len(id) != idLength || strings.Trim(id, idAlphabet) != "" {
			t.Fatalf("id %q", id)
		}
		ids = append(ids, id)
		at = at.Add(37 * time.Millisecond)
	}
	if !slices.IsSorted(ids) {
		t.Error("ids do not sort by time")
	}
	if _, err := (&idSource{random: bytes.NewReader(nil)}).next(at); err == nil {
		t.Error("an id without randomness")
	}
	a, err := NewID(at, bytes.NewReader([]byte{1, 2, 3, 4, 5}))
	b, err2 := NewID(at, bytes.NewReader([]byte{1, 2, 3, 4, 6}))
	if err != nil || err2 != nil || a == b || a[:8] != b[:8] {
		t.Errorf("%q and %q, %v, %v", a, b, err, err2)
	}
}

func TestFrameRefusesEveryFlippedByte(t *testing.T) {
	t.Parallel()
	vectors, err := os.ReadFile(filepath.Join("testdata", "vectors.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(vectors), []byte("\n")) {
		for i := range line {
			for _, flip := range []byte{1, 0x20, 0x80, 0xff} {
				bad := bytes.Clone(line)
				bad[i] ^= flip
				if _, err := ParseRecord(bad); err == nil {
					t.Fatalf("byte %d ^ %#x was accepted: %s", i, flip, bad)
				}
			}
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	vectors, err := os.ReadFile(filepath.Join("testdata", "vectors.jsonl"))
	if err != nil {
		f.Fatal(err)
	}
	for _, line := range bytes.Split(bytes.TrimSpace(vectors), []byte("\n")) {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		// Give the fuzzer's lines a right hash too, or nothing would get past the first check.
		for _, text := range [][]byte{line, rehash(line)} {
			r, err := ParseRecord(text)
			if err != nil {
				continue
			}
			if s := sum([]byte(strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), `,"hash":"`+r.Hash+`"}`))); string(s[:]) != r.Hash {
				t.Fatalf("accepted with another hash: %q", text)
			}
		}
	})
}

// rehash gives a line the hash of its bytes, as somebody without the key can.
func rehash(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	at := bytes.LastIndex(line, []byte(`,"hash":"`))
	if at < 0 {
		return line
	}
	h := sum(line[:at])
	return fmt.Appendf(nil, `%s,"hash":"%s"}`, line[:at], h[:])
}
