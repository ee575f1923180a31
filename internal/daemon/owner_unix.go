//go:build unix

package daemon

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ownerOf is the account that a file belongs to, or "".
func ownerOf(info os.FileInfo) string {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	id := strconv.FormatUint(uint64(s.Uid), 10)
	u, err := user.LookupId(id)
	if err != nil {
		return id // an account that this machine has no name for
	}
	return u.Username
}
