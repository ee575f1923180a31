//go:build !linux

package pgsql

// limitWorker leaves memory to the Go runtime's own limit on this system.
func limitWorker() {}
