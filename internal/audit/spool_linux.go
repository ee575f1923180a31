package audit

import (
	"os"
	"syscall"
)

// mapFile makes the first size bytes of a file memory that the kernel keeps, whatever becomes of the process.
func mapFile(f *os.File, size int) ([]byte, error) {
	return syscall.Mmap(int(f.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
}

func unmap(view []byte) {
	if view != nil {
		_ = syscall.Munmap(view) // what is in it stays in the file
	}
}
