package gateway

import (
	"runtime"
	"strconv"
	"strings"
)

// PanicSite says where the current panic happened, by function and line: runtime/debug would print arguments, and those may be
// a statement.
func PanicSite() string {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var b strings.Builder
	for {
		f, more := frames.Next()
		b.WriteString(f.Function)
		b.WriteByte(' ')
		b.WriteString(lastPart(f.File))
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(f.Line))
		if !more {
			return b.String()
		}
		b.WriteString("; ")
	}
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }
