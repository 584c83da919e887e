package image

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	bits "encoding/binary" // binary is a type here
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
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

// programs reports what cannot run of the programs and libraries that a site brings: those for another
// processor, and those that need a library that the image does not have.
func (b *Builder) programs(r Recipe, entries []entry, below *Image) error {
	if r.Static {
		return nil
	}
	there := map[string]bool{}
	for _, p := range below.files {
		there[p] = true
	}
	for _, e := range entries {
		there[e.path] = true
	}
	var errs []error
	for _, e := range entries {
		program, err := b.program(e)
		if err != nil {
			errs = append(errs, fmt.Errorf("/%s: %w", e.path, err))
		}
		if program != nil {
			errs = append(errs, program.runs(e.path, b.Arch, there))
		}
	}
	return errors.Join(errs...)
}

// program reads an entry if it is one.
func (b *Builder) program(e entry) (_ *binary, err error) {
	if e.kind != tar.TypeReg || e.size < 64 {
		return nil, nil
	}
	content, err := b.content(e)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	head := make([]byte, len(elf.ELFMAG))
	if _, err := io.ReadFull(content, head); err != nil || string(head) != elf.ELFMAG {
		return nil, err
	}
	rest, err := io.ReadAll(content)
	if err != nil {
		return nil, err
	}
	return readBinary(bytes.NewReader(append(head, rest...)), e.path)
}

// runs reports why a program would not run beside these files.
func (p *binary) runs(name, arch string, there map[string]bool) error {
	if p.machine != machine(arch) {
		return fmt.Errorf("/%s is a program for %s, which %s does not run: leave it out, or build for its processor alone", name, p.machine, arch)
	}
	var errs []error
	missing := func(what string) {
		errs = append(errs, fmt.Errorf("/%s needs %s, which the image does not have: add its package to image.packages, or leave the program out", name, what))
	}
	if p.loader != "" && !there[p.loader] {
		missing("/" + p.loader)
	}
	dirs := append(slices.Clone(p.search), "usr/lib/"+Triplet(arch), "usr/lib", "usr/lib64")
	for _, library := range p.needed {
		if !slices.ContainsFunc(dirs, func(dir string) bool { return there[path.Join(dir, library)] }) {
			missing(library)
		}
	}
	return errors.Join(errs...)
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
