package demo

import "syscall"

// setDeathSignal asks the kernel to stop the child when the thread that started it ends.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }
