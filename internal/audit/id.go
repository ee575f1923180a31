package audit

import (
	"fmt"
	"io"
	"time"
)

// idAlphabet is base32 in ASCII order without i, l, o and u, so that identifiers sort by time and can be read out.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

const (
	idLength     = 16
	idRandomBits = 38
)

// NewID makes an identifier of 16 characters that sorts by time: 42 bits of milliseconds, 38 random bits. It is meant for
// sessions; events get theirs from the trail.
func NewID(now time.Time, random io.Reader) (string, error) {
	var r [5]byte
	if _, err := io.ReadFull(random, r[:]); err != nil {
		return "", fmt.Errorf("read randomness for an identifier: %w", err)
	}
	return formatID(now, r), nil
}

func formatID(now time.Time, random [5]byte) string {
	r := uint64(random[0])<<32 | uint64(random[1])<<24 | uint64(random[2])<<16 | uint64(random[3])<<8 | uint64(random[4])
	ms := uint64(now.UnixMilli())
	high := ms << (64 - 42) >> (64 - 42)
	low := r & (1<<idRandomBits - 1)
	// 80 bits: 40 in each half, 8 characters each.
	first := high >> 2
	second := (high&3)<<idRandomBits | low
	var out [idLength]byte
	for i := 7; i >= 0; i-- {
		out[i] = idAlphabet[first&31]
		out[8+i] = idAlphabet[second&31]
		first, second = first>>5, second>>5
	}
	return string(out[:])
}

// idSource hands out identifiers from a small store of randomness, so that not each one costs a system call. Its user's
// lock guards it.
type idSource struct {
	random io.Reader
	buf    [640]byte
	left   int
}

func (s *idSource) next(now time.Time) (string, error) {
	if s.left < 5 {
		if _, err := io.ReadFull(s.random, s.buf[:]); err != nil {
			return "", fmt.Errorf("read randomness for an event's id: %w", err)
		}
		s.left = len(s.buf)
	}
	var r [5]byte
	copy(r[:], s.buf[s.left-5:s.left])
	s.left -= 5
	return formatID(now, r), nil
}
