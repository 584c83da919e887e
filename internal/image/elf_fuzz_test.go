package image

import (
	"bytes"
	"debug/elf"
	"os"
	"strings"
	"testing"
)

// FuzzBinary: whatever a file says of itself, it is read or refused, and what it is said to need stays
// within bounds of what it holds.
func FuzzBinary(f *testing.F) {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(self[:4096])
	head := "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03\x00\x3e\x00\x01\x00\x00\x00"
	f.Add([]byte(head + strings.Repeat("\x00", 40)))
	f.Add([]byte(head + strings.Repeat("\xff", 200)))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := readBinary(bytes.NewReader(data), "opt/program")
		if err != nil || b == nil {
			return
		}
		if len(b.loader) > len(data) {
			t.Fatalf("a loader of %d bytes in a file of %d", len(b.loader), len(data))
		}
		for _, n := range b.needed {
			if len(n) > len(data) || strings.ContainsRune(n, 0) {
				t.Fatalf("it needs %q", n)
			}
		}
		for _, dir := range b.search {
			if strings.HasPrefix(dir, "/") || dir == ".." || strings.HasPrefix(dir, "../") {
				t.Fatalf("it looks for libraries at %q", dir)
			}
		}
		if err := b.runs("opt/program", "amd64", map[string]bool{}); err == nil && (b.machine != elf.EM_X86_64 || len(b.needed) > 0) {
			t.Fatalf("%+v runs beside nothing", b)
		}
	})
}
