package scan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"go.yaml.in/yaml/v3"
)

// ReadWaivers reads a YAML list of waivers, strictly: an unknown key is an error, and each waiver needs its reason, owner and end.
func ReadWaivers(text []byte) ([]Waiver, error) {
	out := []Waiver{} // given, and perhaps empty
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the waivers: %w", err)
	}
	if err := CheckWaivers(out); err != nil {
		return nil, fmt.Errorf("read the waivers: %w", err)
	}
	return out, nil
}

// ReadExpect reads what a site declares, strictly: an unknown key is an error.
func ReadExpect(text []byte) (*Expect, error) {
	var out Expect
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read what is expected: %w", err)
	}
	if !slices.Contains([]string{"", "production", "staging", "development", "test"}, out.Environment) {
		return nil, fmt.Errorf("read what is expected: environment %q: production, staging, development or test", out.Environment)
	}
	return &out, nil
}
