package postgres

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postern-sec/postern/internal/catalog"
	"github.com/postern-sec/postern/internal/policy"
)

// Conn is what the checks of masks and walls need of a connection; *pgx.Conn and pgx.Tx both are one.
type Conn interface {
	Begin(ctx context.Context) (pgx.Tx, error)
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// MaskSQL returns the SQL of mask for a column: an expression of exactly the column's type, typmod and collation.
// ref is SQL for the raw value, such as the quoted column name. Errors name the masks that fit the column.
func MaskSQL(mask policy.Mask, col catalog.Column, ref string) (string, error) {
	return "", errors.New("not compiled")
}

// HiddenSQL returns the strongest form of the column's type that is not an error: typed NULL, or, where NULL cannot be, a constant valid
// for the type. It is the ELSE of a CASE over several rules (ENF-35).
func HiddenSQL(col catalog.Column) (string, error) {
	return "", errors.New("not compiled")
}

// MaskOrder is the place of a mask in the order of ENF-36: 0 raw, 1 partial, 2 pseudonym, 3 generalised, 4 constant, 5 NULL.
func MaskOrder(mask policy.Mask) int { return 5 }

// MaskUse is one mask on one column, to be tried on the server.
type MaskUse struct {
	Table  catalog.Name
	Column catalog.Column
	Mask   policy.Mask
}

// MaskProblem is a mask that does not fit its column.
type MaskProblem struct {
	Use     MaskUse
	Message string // what is wrong, and which masks fit
}

// CheckMasks runs each mask on the server against the column's real type, domain and typmod (ENF-29).
func CheckMasks(ctx context.Context, conn Conn, uses []MaskUse) ([]MaskProblem, error) {
	return nil, errors.New("not compiled")
}

// PseudonymKeys derives the two padded keys of postern.key from a secret key of any length (RFC 2104, SHA-256).
func PseudonymKeys(key []byte) (ipad, opad []byte) {
	if len(key) > sha256.BlockSize {
		sum := sha256.Sum256(key)
		key = sum[:]
	}
	ipad, opad = make([]byte, sha256.BlockSize), make([]byte, sha256.BlockSize)
	copy(ipad, key)
	copy(opad, key)
	for i := range ipad {
		ipad[i] ^= 0x36
		opad[i] ^= 0x5c
	}
	return ipad, opad
}
