// Package passkey is a device for tests that keeps passkeys, with the browser in front of it: it answers what a site asks of
// navigator.credentials, honestly or as it is told to. It is written from the standard (W3C Web Authentication, Level 3) and shares no
// code with what checks its answers.
package passkey

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
)

// Device keeps passkeys. What is set changes its answers.
type Device struct {
	Origin   string // of the page that the browser shows
	Careless bool   // it does not ask who is there
	Counts   bool   // it has a signature counter
	NextID   []byte // of the next passkey; nil: one of its own
	Keys     []*Key
}

// Key is a passkey.
type Key struct {
	ID      []byte
	Site    string
	Handle  []byte // of the person, as the site has it
	Count   uint32
	private *ecdsa.PrivateKey
}

// Copy is what a thief makes of a key.
func (k *Key) Copy() *Key {
	c := *k
	return &c
}

// Flags of what a device signs.
const (
	present  = 1
	verified = 4
	attested = 64
)

var b64 = base64.RawURLEncoding

type bytes []byte

// UnmarshalJSON implements json.Unmarshaler.
func (b *bytes) UnmarshalJSON(text []byte) (err error) {
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	*b, err = b64.DecodeString(s)
	return err
}

// MarshalJSON implements json.Marshaler.
func (b bytes) MarshalJSON() ([]byte, error) { return json.Marshal(b64.EncodeToString(b)) }

type descriptor struct {
	ID bytes `json:"id"`
}

type response struct {
	Client    bytes `json:"clientDataJSON"`
	Object    bytes `json:"attestationObject,omitempty"`
	Data      bytes `json:"authenticatorData,omitempty"`
	Signature bytes `json:"signature,omitempty"`
	Handle    bytes `json:"userHandle,omitempty"`
}

type answer struct {
	ID       bytes    `json:"id"`
	RawID    bytes    `json:"rawId"`
	Type     string   `json:"type"`
	Response response `json:"response"`
}

func (d *Device) client(kind string, challenge bytes) []byte {
	text, _ := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": d.Origin, "crossOrigin": false}) // nothing that could fail
	return text
}

func (d *Device) data(site string, flags byte, count uint32) []byte {
	if !d.Careless {
		flags |= verified
	}
	if !d.Counts {
		count = 0
	}
	hash := sha256.Sum256([]byte(site))
	return binary.BigEndian.AppendUint32(append(hash[:], flags|present), count)
}

// Create makes a passkey, as navigator.credentials.create does.
func (d *Device) Create(options []byte) ([]byte, error) {
	var o struct {
		RP        struct{ ID string }
		User      struct{ ID bytes }
		Challenge bytes
		Exclude   []descriptor `json:"excludeCredentials"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	for _, k := range d.Keys {
		if slices.ContainsFunc(o.Exclude, func(e descriptor) bool { return string(e.ID) == string(k.ID) }) {
			return nil, errors.New("InvalidStateError: the device has a passkey for this person already")
		}
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := &Key{ID: []byte(rand.Text()), Site: o.RP.ID, Handle: o.User.ID, Count: 1, private: private}
	if d.NextID != nil {
		k.ID = d.NextID
	}
	d.Keys = append(d.Keys, k)
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, err
	}
	data := append(d.data(k.Site, attested, k.Count), make([]byte, 16)...) // of no make
	data = append(binary.BigEndian.AppendUint16(data, uint16(len(k.ID))), k.ID...)
	data = append(data, 0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32) // {1: 2 (EC), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}
	data = append(append(append(data, point[1:33]...), 0x22, 0x58, 32), point[33:]...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59"), 0, 0)
	binary.BigEndian.PutUint16(object[len(object)-2:], uint16(len(data)))
	return json.Marshal(answer{k.ID, k.ID, "public-key", response{Client: d.client("webauthn.create", o.Challenge), Object: append(object, data...)}})
}

// Get uses a passkey, as navigator.credentials.get does: the newest that the site takes.
func (d *Device) Get(options []byte) ([]byte, error) {
	var o struct {
		Site      string `json:"rpId"`
		Challenge bytes
		Allow     []descriptor `json:"allowCredentials"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	for _, k := range slices.Backward(d.Keys) {
		if k.Site != o.Site || len(o.Allow) > 0 && !slices.ContainsFunc(o.Allow, func(a descriptor) bool { return string(a.ID) == string(k.ID) }) {
			continue
		}
		return d.sign(k, o.Challenge)
	}
	return nil, errors.New("NotAllowedError: there is no passkey for this site")
}

// Force uses its first key whatever the site asks for.
func (d *Device) Force(options []byte) ([]byte, error) {
	var o struct{ Challenge bytes }
	if err := json.Unmarshal(options, &o); err != nil {
		return nil, err
	}
	return d.sign(d.Keys[0], o.Challenge)
}

func (d *Device) sign(k *Key, challenge []byte) ([]byte, error) {
	k.Count++
	data, client := d.data(k.Site, 0, k.Count), d.client("webauthn.get", challenge)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(slices.Concat(data, hash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer{k.ID, k.ID, "public-key", response{Client: client, Data: data, Signature: signature, Handle: k.Handle}})
}
