//go:build !linux

package gateway

import "net"

// peerOf does not know on this system, so that nobody can log in by account.
func peerOf(*net.UnixConn) (account, remote string) { return "", "local" }
