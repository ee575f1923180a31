package pgwire

import "encoding/binary"

// planLine is the text of a row of a plan: its only column. Anything else is an empty line, of which nothing is shown.
func planLine(row []byte) string {
	if len(row) < 6 || binary.BigEndian.Uint16(row) != 1 {
		return ""
	}
	size := binary.BigEndian.Uint32(row[2:])
	if uint64(size) != uint64(len(row)-6) {
		return ""
	}
	return string(row[6:])
}

// appendPlan writes lines of a plan as rows.
func appendPlan(dst []byte, e *entry, lines []string) []byte {
	for _, line := range lines {
		dst = append(dst, 'D')
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(line)+10)) //nolint:gosec // no longer than the row it was
		dst = binary.BigEndian.AppendUint16(dst, 1)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(line))) //nolint:gosec // as above
		dst = append(dst, line...)
		e.rows++
		e.bytes += int64(len(line)) + 11
	}
	return dst
}
