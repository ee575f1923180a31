package gateway

import (
	"net"
	"os/user"
	"strconv"
	"syscall"
)

// peerOf asks the kernel who is at the other end of a socket (PRO-09). The account is "" if it is not known.
func peerOf(conn *net.UnixConn) (account, remote string) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return "", "local"
	}
	var cred *syscall.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) {
		cred, credErr = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err != nil || credErr != nil {
		return "", "local"
	}
	uid := strconv.FormatUint(uint64(cred.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		account = u.Username
	}
	return account, "local:uid=" + uid + ",pid=" + strconv.Itoa(int(cred.Pid))
}
