//go:build !linux

package demo

import "syscall"

func setDeathSignal(*syscall.SysProcAttr) {}
