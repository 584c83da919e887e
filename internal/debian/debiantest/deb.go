package debiantest

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Values of Package.Archive; "" is the main archive.
const (
	Updates  = "updates"
	Security = "security"
)

// Package is a package to publish. Only Name is required.
type Package struct {
	Name         string
	Version      string // "" = 1.0-1
	Architecture string // "" = all
	Archive      string // "", Updates or Security
	Source       string
	Priority     string
	MultiArch    string
	Depends      string
	PreDepends   string
	Provides     string
	Files        []File
	Compression  string // of the members: "" = xz, gz, zst, none

	// Claim is what the package's own control file says of its version, when that lies.
	Claim string
	// Broken is what is wrong with the .deb; index and hash are of the broken one.
	Broken Fracture
}

// Fracture is a way in which a .deb can be broken.
type Fracture string

// The fractures.
const (
	BrokenMagic  Fracture = "it is no ar archive"
	BrokenAr     Fracture = "the header of the member data.tar is damaged"
	NoData       Fracture = "there is no data.tar"
	NoControl    Fracture = "there is no control.tar"
	EmptyControl Fracture = "control.tar has no control file"
	BrokenTar    Fracture = "data.tar is packed soundly, and no tar"
	CutTar       Fracture = "data.tar is packed soundly, and ends within a file"
	CutDeb       Fracture = "the file ends in the middle of data.tar"
)

// File is one entry of a package's data.tar, in the order given; folders above it are added.
type File struct {
	Path     string // usr/share/doc/x/copyright
	Content  string
	Mode     int64  // 0 = 0644
	Link     string // target of a symbolic link
	HardLink string // path of an earlier file
}

var epoch = time.Date(2025, 8, 9, 0, 0, 0, 0, time.UTC) // trixie's release

func (p Package) version() string { return cmp.Or(p.Version, "1.0-1") }
func (p Package) arch() string    { return cmp.Or(p.Architecture, "all") }

func (p Package) filename() string {
	_, version, epoch := strings.Cut(p.version(), ":")
	if !epoch {
		version = p.version()
	}
	pool := "pool/main/"
	if p.Archive == Security {
		pool = "pool/updates/main/"
	}
	return fmt.Sprintf("%s%c/%s/%s_%s_%s.deb", pool, p.Name[0], p.Name, p.Name, version, p.arch())
}

func (p Package) control() string {
	var b strings.Builder
	for _, f := range [][2]string{
		{"Package", p.Name}, {"Source", p.Source}, {"Version", p.version()}, {"Architecture", p.arch()},
		{"Multi-Arch", p.MultiArch}, {"Priority", p.Priority}, {"Maintainer", "Test <test@example.com>"},
		{"Pre-Depends", p.PreDepends}, {"Depends", p.Depends}, {"Provides", p.Provides},
	} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
		}
	}
	return b.String()
}

// Deb builds the package; the same Package gives the same bytes.
func (p Package) Deb(t testing.TB) []byte {
	t.Helper()
	claim := p
	if p.Claim != "" {
		claim.Version = p.Claim
	}
	control := tarball(t, []File{{Path: "control", Content: claim.control() + "Description: a test package\n"}})
	data := tarball(t, p.Files)
	switch p.Broken {
	case EmptyControl:
		control = tarball(t, nil)
	case BrokenTar:
		data = bytes.Repeat([]byte("no tar "), 512)
	case CutTar:
		data = data[:len(data)-1024-512] // its end, and the last block of the last file
	}
	var out bytes.Buffer
	out.WriteString("!<arch>\n")
	member(&out, "debian-binary", []byte("2.0\n"))
	begin := 0
	for _, m := range []struct {
		name string
		data []byte
	}{{"control.tar", control}, {"data.tar", data}} {
		if m.name == "control.tar" && p.Broken == NoControl || m.name == "data.tar" && p.Broken == NoData {
			continue
		}
		begin = out.Len()
		switch p.Compression {
		case "":
			member(&out, m.name+".xz", compressXZ(t, m.data))
		case "gz":
			member(&out, m.name+".gz", compressGzip(t, m.data))
		case "zst":
			z, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			member(&out, m.name+".zst", z.EncodeAll(m.data, nil))
		case "none":
			member(&out, m.name, m.data)
		default:
			t.Fatalf("debiantest: compression %q", p.Compression)
		}
	}
	deb := out.Bytes()
	switch p.Broken {
	case BrokenMagic:
		deb[0] = '?'
	case BrokenAr:
		copy(deb[begin+48:], "ten bytes ")
	case CutDeb:
		if p.Compression == "none" { // between two blocks, where a tar may seem to end
			return deb[:begin+60+(len(data)/2)/512*512]
		}
		return deb[:begin+60+(len(deb)-begin-60)/2]
	}
	return deb
}

// member writes one file of an ar archive.
func member(out *bytes.Buffer, name string, data []byte) {
	fmt.Fprintf(out, "%-16s%-12d%-6d%-6d%-8s%-10d`\n", name, epoch.Unix(), 0, 0, "100644", len(data))
	out.Write(data)
	if len(data)%2 == 1 {
		out.WriteByte('\n')
	}
}

func tarball(t testing.TB, files []File) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	write := func(h *tar.Header, content string) {
		h.ModTime, h.Uname, h.Gname = epoch, "root", "root"
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	write(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755}, "")
	seen := map[string]bool{}
	for _, f := range files {
		parts := strings.Split(strings.Trim(f.Path, "/"), "/")
		for i := 1; i < len(parts); i++ {
			dir := strings.Join(parts[:i], "/")
			if !seen[dir] {
				seen[dir] = true
				write(&tar.Header{Typeflag: tar.TypeDir, Name: "./" + dir + "/", Mode: 0o755}, "")
			}
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + strings.Join(parts, "/"), Mode: cmp.Or(f.Mode, 0o644)}
		switch {
		case f.Link != "":
			h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.Link, 0o777
		case f.HardLink != "":
			h.Typeflag, h.Linkname = tar.TypeLink, "./"+f.HardLink
		default:
			h.Size = int64(len(f.Content))
		}
		write(h, f.Content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
