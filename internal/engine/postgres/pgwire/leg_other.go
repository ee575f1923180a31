//go:build !unix

package pgwire

import "syscall"

// canTry says that descriptors cannot be read without waiting on this system.
const canTry = false

func tryRead(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.EAGAIN }

func tryWrite(uintptr, []byte) (int, syscall.Errno) { return 0, syscall.EAGAIN }

func peek(uintptr) bool { return false }
