package postgres

import (
	"testing"

	"github.com/postern-sec/postern/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
