//go:build !linux

package state

import (
	"syscall"
	"time"
)

// giveUpOn has no like here: keep-alives find a dead connection, later.
func giveUpOn(time.Duration) func(network, address string, c syscall.RawConn) error { return nil }
