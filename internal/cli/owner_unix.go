//go:build unix

package cli

import (
	"os"
	"syscall"
)

// likeFile gives a file the owner and the rights of another: whoever read that one reads this one.
func likeFile(f *os.File, info os.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(s.Uid), int(s.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(info.Mode().Perm())
}
