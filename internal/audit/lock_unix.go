//go:build unix

package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const lockName = ".lock"

// lockFolder takes the folder for one writer until the returned file is closed, also by the end of the process. A verifier
// that looks whether somebody writes holds the lock for an instant, so a few tries are made.
func lockFolder(folder string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock audit folder: %w", err)
	}
	for range 10 {
		if err = flock(f, syscall.LOCK_EX); err == nil {
			return f, nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("%w: %s", ErrLocked, folder)
	}
	return nil, fmt.Errorf("lock audit folder %s: %w", folder, err)
}

// hasWriter says whether a process holds the folder at this moment.
func hasWriter(folder string) bool {
	f, err := os.Open(filepath.Join(folder, lockName))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(flock(f, syscall.LOCK_SH), syscall.EWOULDBLOCK)
}

func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
