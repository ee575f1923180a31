//go:build unix

package pgwire

import "syscall"

// canTry says that descriptors can be read without waiting.
const canTry = true

// tryRead reads what is there; syscall.EAGAIN means that nothing is.
func tryRead(fd uintptr, b []byte) (int, error) {
	n, err := syscall.Read(int(fd), b) //nolint:gosec // descriptors fit
	return max(n, 0), err
}

// peek says whether there is something to read, without reading it.
func peek(fd uintptr) bool {
	var b [1]byte
	n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|msgDontWait) //nolint:gosec // descriptors fit
	return err == nil && n > 0
}
