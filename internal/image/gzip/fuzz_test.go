package gzip

import (
	"bytes"
	"testing"
)

// FuzzRoundTrip: whatever is written, in whatever pieces, is read back by Go's own reader.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte(nil), uint16(1), uint8(0))
	f.Add([]byte("platen platen platen"), uint16(3), uint8(1))
	f.Add(bytes.Repeat([]byte{0, 1, 2}, 700), uint16(257), uint8(40))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16, times uint8) {
		data = bytes.Repeat(data, 1+int(times))
		if len(data) > 8<<20 {
			return
		}
		packed := pack(t, data, 1+int(piece))
		if !bytes.Equal(unpack(t, packed), data) {
			t.Fatalf("%d bytes were unpacked to something else", len(data))
		}
	})
}
