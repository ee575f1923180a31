package pgsql

import "syscall"

// limitWorker bounds what a worker process can take: data, and no core file, which would hold statements.
func limitWorker() {
	// What cannot be limited is not: the parent bounds time and restarts in any case.
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: workerMemory, Max: workerMemory})
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
}
