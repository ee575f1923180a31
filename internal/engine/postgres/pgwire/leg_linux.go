package pgwire

import (
	"syscall"
	"unsafe"
)

const msgDontWait = syscall.MSG_DONTWAIT

// The descriptors never block, so these calls return at once and the scheduler need not hear of them. That matters: a call that
// it does hear of wakes the runtime's monitor out of its sleep, and that then looks around every 20 microseconds, which at low
// load costs more than the call itself.

// tryRead reads what is there; syscall.EAGAIN means that nothing is.
func tryRead(fd uintptr, b []byte) (int, syscall.Errno) { return transfer(syscall.SYS_READ, fd, b) }

// tryWrite writes what there is room for; syscall.EAGAIN means that there is none.
func tryWrite(fd uintptr, b []byte) (int, syscall.Errno) { return transfer(syscall.SYS_WRITE, fd, b) }

func transfer(call, fd uintptr, b []byte) (int, syscall.Errno) {
	if len(b) == 0 {
		return 0, 0
	}
	n, _, errno := syscall.RawSyscall(call, fd, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b))) //nolint:gosec // the pattern that package unsafe describes for system calls
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0 //nolint:gosec // at most len(b)
}
