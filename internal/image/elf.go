package image

import (
	"debug/elf"
	bits "encoding/binary" // binary is a type here
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// readBinary returns what the dynamic loader would look for; nil for a file that is no program or
// shared library (an object file, a static program has no needs but is still a binary).
func readBinary(r io.ReaderAt, name string) (*binary, error) {
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, fmt.Errorf("read as a program: %w", err)
	}
	if f.Type != elf.ET_EXEC && f.Type != elf.ET_DYN {
		return nil, nil
	}
	b := &binary{machine: f.Machine}
	if b.needed, err = f.DynString(elf.DT_NEEDED); err != nil {
		return nil, fmt.Errorf("read the libraries it needs: %w", err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		paths, err := f.DynString(tag)
		if err != nil {
			return nil, fmt.Errorf("read its run path: %w", err)
		}
		for _, list := range paths {
			for dir := range strings.SplitSeq(list, ":") {
				dir = strings.NewReplacer("${ORIGIN}", "/"+path.Dir(name), "$ORIGIN", "/"+path.Dir(name)).Replace(dir)
				b.search = append(b.search, merged(dir))
			}
		}
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			text, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, fmt.Errorf("read its loader: %w", err)
			}
			b.loader = merged(strings.TrimRight(string(text), "\x00"))
		}
	}
	return b, nil
}

// machine is what programs of an architecture are for.
func machine(arch string) elf.Machine {
	return map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]
}

// rightMachine reports a program that the builder's architecture cannot run, by the first bytes of
// its header: all are little-endian, of 64 bits.
func (b *Builder) rightMachine(program []byte) error {
	if len(program) < 20 || string(program[:4]) != elf.ELFMAG {
		return errors.New("it is no program")
	}
	if got := elf.Machine(bits.LittleEndian.Uint16(program[18:])); got != machine(b.Arch) {
		return fmt.Errorf("it is a program for %s, not for %s", got, b.Arch)
	}
	return nil
}
