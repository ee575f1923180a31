package pgwire

import "syscall"

const msgDontWait = syscall.MSG_DONTWAIT
