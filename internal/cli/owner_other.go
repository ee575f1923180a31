//go:build !unix

package cli

import "os"

// likeFile gives a file the rights of another.
func likeFile(f *os.File, info os.FileInfo) error { return f.Chmod(info.Mode().Perm()) }
