//go:build unix && !linux

package pgwire

// msgDontWait is not needed: descriptors of the net package never block.
const msgDontWait = 0
