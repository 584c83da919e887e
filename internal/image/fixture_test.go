package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"platen/internal/image"
)

// memory keeps blobs and notes in maps.
type memory struct {
	mu    sync.Mutex
	blobs map[string][]byte
	notes map[string][]byte
}

func newMemory() *memory { return &memory{blobs: map[string][]byte{}, notes: map[string][]byte{}} }

func (m *memory) Note(key string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.notes[key]
	return data, ok, nil
}

func (m *memory) SetNote(key string, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.notes[key] = data
	return nil
}

func (m *memory) Has(digest string, size int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := sha256.Sum256(m.blobs[digest])
	return "sha256:"+hex.EncodeToString(sum[:]) == digest && int64(len(m.blobs[digest])) == size, nil
}

func (m *memory) Open(digest string) (io.ReadCloser, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.blobs[digest]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (m *memory) Create() (image.Blob, error)     { return &memoryBlob{m: m}, nil }
func (m *memory) Scratch() (image.Scratch, error) { return &memoryScratch{}, nil }

type memoryBlob struct {
	bytes.Buffer
	m *memory
}

func (b *memoryBlob) Commit(digest string) error {
	b.m.mu.Lock()
	defer b.m.mu.Unlock()
	b.m.blobs[digest] = bytes.Clone(b.Bytes())
	return nil
}

func (b *memoryBlob) Discard() error { return nil }

type memoryScratch struct {
	mu   sync.Mutex
	data []byte
}

func (s *memoryScratch) WriteAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if need := int(off) + len(p); need > len(s.data) {
		s.data = append(s.data, make([]byte, need-len(s.data))...)
	}
	return copy(s.data[off:], p), nil
}

func (s *memoryScratch) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off >= int64(len(s.data)) {
		return 0, io.EOF
	}
	n := copy(p, s.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (s *memoryScratch) Close() error { return nil }

// files are a package's content: path → text, "-> target" for a link, mode 4755 with "suid:".
type files map[string]string

// shelf is a Source of packages made in the test.
type shelf struct {
	packages map[string][]byte
	closed   bool // a package that is opened now is an error
}

func (s *shelf) Open(p image.Package) (io.ReadCloser, error) {
	if s.closed {
		return nil, errors.New(p.Name + " was opened, though nothing changed")
	}
	return io.NopCloser(bytes.NewReader(s.packages[p.Name])), nil
}

func (s *shelf) add(t *testing.T, name string, content files) image.Package {
	t.Helper()
	if at := "usr/share/doc/" + name + "/copyright"; content[at] == "" {
		content[at] = "All rights of " + name
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, p := range slices.Sorted(maps.Keys(content)) {
		text := content[p]
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + p, Mode: 0o644, Uname: "builder"}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			h.Typeflag, h.Linkname, text = tar.TypeSymlink, target, ""
		} else if rest, ok := strings.CutPrefix(text, "suid:"); ok {
			h.Mode, text = 0o4777, rest
		} else if strings.Contains(p, "bin/") || strings.Contains(p, ".so") {
			h.Mode = 0o755
		}
		h.Size = int64(len(text))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if s.packages == nil {
		s.packages = map[string][]byte{}
	}
	s.packages[name] = out.Bytes()
	sum := sha256.Sum256(out.Bytes())
	return image.Package{Name: name, Version: "1", SHA256: hex.EncodeToString(sum[:])}
}

// program is an ELF file that needs libraries, and nothing else.
func program(t *testing.T, needed ...string) string {
	t.Helper()
	names := []byte{0}
	var dynamic bytes.Buffer
	put := func(w io.Writer, v any) {
		if err := binary.Write(w, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range needed {
		put(&dynamic, elf.Dyn64{Tag: int64(elf.DT_NEEDED), Val: uint64(len(names))})
		names = append(append(names, n...), 0)
	}
	put(&dynamic, elf.Dyn64{})
	const head = 64
	sections := []elf.Section64{{},
		{Type: uint32(elf.SHT_STRTAB), Off: head, Size: uint64(len(names))},
		{Type: uint32(elf.SHT_DYNAMIC), Link: 1, Off: head + uint64(len(names)), Size: uint64(dynamic.Len()), Entsize: 16},
	}
	var out bytes.Buffer
	put(&out, elf.Header64{
		Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Shoff: head + uint64(len(names)+dynamic.Len()), Ehsize: head, Shentsize: 64, Shnum: uint16(len(sections)), Shstrndx: 1,
	})
	out.Write(names)
	out.Write(dynamic.Bytes())
	put(&out, sections)
	return out.String()
}

// agent is the least that counts as a program of amd64.
const agent = "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00 agent"

// packed is what make build embeds of a program.
func packed(t *testing.T, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func recipe(t *testing.T, name, text string) image.Recipe {
	t.Helper()
	r, err := image.ParseRecipe(name, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tree is a fixture's folder whose links can be read.
func tree(f fstest.MapFS) fs.FS { return f }

func build(t *testing.T, b *image.Builder, in image.Input) image.Image {
	t.Helper()
	img, err := b.Build(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// content lists an image's paths as a container would see them: "mode uid text" or "-> target".
func content(t *testing.T, img image.Image) map[string]string {
	t.Helper()
	all := map[string]string{}
	layers, err := img.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		data, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for r := tar.NewReader(data); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if h.Name <= last {
				t.Errorf("%s comes after %s", h.Name, last)
			}
			last = h.Name
			if h.Uname != "" || h.Gname != "" {
				t.Errorf("%s carries a name of the host: %s", h.Name, h.Uname)
			}
			text, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if h.Typeflag == tar.TypeSymlink {
				all[h.Name] = "-> " + h.Linkname
				continue
			}
			all[h.Name] = fmt.Sprintf("%o %d %s", h.Mode, h.Uid, text)
		}
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// mtime is the time of the file whose path ends in name.
func mtime(t *testing.T, img image.Image, name string) (seconds int64) {
	t.Helper()
	layers, err := img.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		data, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for r := tar.NewReader(data); ; {
			h, err := r.Next()
			if err != nil {
				break
			}
			if strings.HasSuffix(h.Name, name) {
				seconds = h.ModTime.Unix()
			}
		}
		if err := data.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if seconds == 0 {
		t.Fatalf("there is no %s", name)
	}
	return seconds
}
