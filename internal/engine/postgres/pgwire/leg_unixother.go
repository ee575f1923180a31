//go:build unix && !linux

package pgwire

import (
	"errors"
	"syscall"
)

// msgDontWait is not needed: descriptors of the net package never block.
const msgDontWait = 0

// tryRead reads what is there; syscall.EAGAIN means that nothing is.
func tryRead(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Read(int(fd), b) //nolint:gosec // descriptors fit
	return max(n, 0), errnoOf(err)
}

// tryWrite writes what there is room for; syscall.EAGAIN means that there is none.
func tryWrite(fd uintptr, b []byte) (int, syscall.Errno) {
	n, err := syscall.Write(int(fd), b) //nolint:gosec // descriptors fit
	return max(n, 0), errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	var errno syscall.Errno
	if err != nil && !errors.As(err, &errno) {
		return syscall.EIO
	}
	return errno
}
