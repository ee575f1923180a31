//go:build unix

package pgwire

import "syscall"

// canTry says that descriptors can be read without waiting.
const canTry = true

// peek says whether there is something to read, without reading it.
func peek(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|msgDontWait) //nolint:gosec // descriptors fit
	return err == nil && n > 0
}
