package source_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"platen/internal/report"
	"platen/internal/source"
)

// hostile are archives that zip and tar can both hold, below the folder a/, and what is said.
var hostile = map[string]struct {
	entries []packed
	want    string
}{
	"a name that goes up":              {[]packed{{name: "../evil.php"}}, "leaves the archive's folder"},
	"a name that goes up later":        {[]packed{{name: "a/../../evil.php"}}, "leaves the archive's folder"},
	"an absolute name":                 {[]packed{{name: "/etc/passwd"}}, "absolute path"},
	"a drive":                          {[]packed{{name: "C:/evil.php"}}, "absolute path"},
	"a backslash":                      {[]packed{{name: `a\..\evil.php`}}, "backslash"},
	"a line break in a name":           {[]packed{{name: "a/x\ny"}}, "control character"},
	"a name that is not UTF-8":         {[]packed{{name: "a/\xff.php"}}, "not UTF-8"},
	"a name with a dot":                {[]packed{{name: "a/./b"}}, "a dot in it"},
	"an empty name":                    {[]packed{{name: "a//b"}}, "empty name"},
	"a name of 256 bytes":              {[]packed{{name: "a/" + strings.Repeat("n", 256)}}, "a name of 256 bytes"},
	"a path of 1,100 bytes":            {[]packed{{name: "a/" + strings.ReplaceAll(fmt.Sprintf("%x", noise(540)), "7", "/7")}}, "a path of"},
	"a link to an absolute path":       {[]packed{{name: "a/x", mode: fs.ModeSymlink, link: "/etc/passwd"}}, "a link that leaves the folder"},
	"a link out of the tree":           {[]packed{{name: "a/x", mode: fs.ModeSymlink, link: "../../etc"}}, "a link that leaves the folder"},
	"a link that leaves by another":    {[]packed{{name: "a/b/up", mode: fs.ModeSymlink, link: ".."}, {name: "a/x", mode: fs.ModeSymlink, link: "b/up/../../etc"}}, "turns back"},
	"a link to nothing":                {[]packed{{name: "a/x", mode: fs.ModeSymlink}}, "without a sound target"},
	"a file below a link":              {[]packed{{name: "a/x", mode: fs.ModeSymlink, link: "y"}, {name: "a/x/passwd"}}, "no folder"},
	"a file below a file":              {[]packed{{name: "a/x"}, {name: "a/x/y"}}, "no folder"},
	"a link in the place of a folder":  {[]packed{{name: "a/x/y"}, {name: "a/x", mode: fs.ModeSymlink, link: "z"}}, "is there twice"},
	"a set-user-id file":               {[]packed{{name: "a/su", mode: 0o755 | fs.ModeSetuid}}, "set-user-id"},
	"a set-group-id file":              {[]packed{{name: "a/sg", mode: 0o755 | fs.ModeSetgid}}, "set-group-id"},
	"a set-user-id folder":             {[]packed{{name: "a/d/", mode: 0o755 | fs.ModeDir | fs.ModeSetuid}}, "set-user-id"},
	"a file twice":                     {[]packed{{name: "a/x", text: "good"}, {name: "a/x", text: "evil"}}, "is there twice"},
	"two files but for case":           {[]packed{{name: "a/Read"}, {name: "a/read"}}, "upper and lower case"},
	"two folders but for case":         {[]packed{{name: "a/Read/x"}, {name: "a/read/y"}}, "upper and lower case"},
	"more entries than are taken":      {many(31), "more than 30 entries"},
	"one file that is too large":       {[]packed{{name: "a/x", text: strings.Repeat("x", 1001)}}, "1001 bytes: at most 1000"},
	"all files together too large":     {[]packed{{name: "a/x", text: noise(900)}, {name: "a/y", text: noise(900)}, {name: "a/z", text: noise(900)}}, "more than 2500 bytes unpacked"},
	"text that unpacks to a multitude": {[]packed{{name: "a/x", text: strings.Repeat("\x00", 999)}, {name: "a/y", text: strings.Repeat("\x00", 999)}}, "times its size"},
}

func many(n int) []packed {
	var all []packed
	for i := range n {
		all = append(all, packed{name: fmt.Sprintf("a/%d", i)})
	}
	return all
}

// small limits: what they bound can be made in a test.
var small = source.Limits{Packed: 1 << 20, Entries: 30, File: 1000, Total: 2500, Ratio: 4, Slack: 1700, Path: 1024, Name: 255}

func TestHostileArchivesAreRefusedWithTheReason(t *testing.T) {
	for name, c := range hostile {
		t.Run("zip/"+name, func(t *testing.T) {
			if _, all, err := readZip(zipOf(t, c.entries...), small); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v: want something of %q", all, err, c.want)
			} else if strings.ContainsAny(err.Error(), "\n\x00") || !utf8.ValidString(err.Error()) {
				t.Errorf("%q is not fit for a terminal", err)
			}
		})
		t.Run("tar/"+name, func(t *testing.T) {
			if all, err := readTar(tarOf(t, c.entries...), small); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v: want something of %q", all, err, c.want)
			}
		})
	}
}

// A folder that several people write to often is set-group-id: it says whose a new file is, no more.
func TestASetGroupIDFolderIsTaken(t *testing.T) {
	entries := []packed{{name: "a/d/", mode: 0o775 | fs.ModeDir | fs.ModeSetgid}, {name: "a/d/x", text: "x"}}
	if _, all, err := readZip(zipOf(t, entries...), source.DefaultLimits); err != nil || all["d/x"] != "x" {
		t.Errorf("zip: %v, %v", all, err)
	}
	if all, err := readTar(tarOf(t, entries...), source.DefaultLimits); err != nil || all["a/d/x"] != "x" {
		t.Errorf("tar: %v, %v", all, err)
	}
}

func TestATarHoldsFilesFoldersAndLinksOnly(t *testing.T) {
	for name, c := range map[string]struct {
		entry packed
		want  string
	}{
		"a hard link":        {packed{name: "a/x", kind: tar.TypeLink, link: "../../etc/passwd"}, "hard link"},
		"a character device": {packed{name: "a/x", kind: tar.TypeChar}, "neither file, folder nor link"},
		"a block device":     {packed{name: "a/x", kind: tar.TypeBlock}, "neither file, folder nor link"},
		"a pipe":             {packed{name: "a/x", kind: tar.TypeFifo}, "neither file, folder nor link"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readTar(tarOf(t, c.entry), source.DefaultLimits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
}

func TestAZipHoldsFilesFoldersAndLinksOnly(t *testing.T) {
	for _, mode := range []fs.FileMode{fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice, fs.ModeNamedPipe, fs.ModeSocket} {
		if _, _, err := readZip(zipOf(t, packed{name: "a/x", mode: mode | 0o644}), source.DefaultLimits); err == nil || !strings.Contains(err.Error(), "neither file, folder nor link") {
			t.Errorf("%s: got %v", mode, err)
		}
	}
}

// A NUL ends a name for every program written in C: it would check one file and write another.
func TestANameWithANULIsRefused(t *testing.T) {
	data := bytes.ReplaceAll(zipOf(t, packed{name: "a/x.php!.jpg"}), []byte("php!"), []byte("php\x00"))
	if _, _, err := readZip(data, source.DefaultLimits); err == nil || !strings.Contains(err.Error(), "control character") {
		t.Errorf("got %v", err)
	}
}

func TestBrokenZipsAreRefused(t *testing.T) {
	whole := zipOf(t, packed{name: "a/x.php", text: strings.Repeat("<?php echo 1;\n", 20)})
	end := bytes.LastIndex(whole, []byte("PK\x05\x06"))
	table := bytes.Index(whole, []byte("PK\x01\x02"))
	change := func(at int, bytes ...byte) []byte {
		data := append([]byte{}, whole...)
		copy(data[at:], bytes)
		return data
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                       {nil, "it is no zip"},
		"a page that says no":           {[]byte("<!DOCTYPE html><title>Log in</title>" + strings.Repeat(" ", 100)), "it is no zip"},
		"cut off":                       {whole[:len(whole)-30], "it is no zip, or it is cut off"},
		"cut off in its table":          {whole[:table+20], "it is no zip, or it is cut off"},
		"something before it":           {append([]byte("#!/bin/sh\nexit\n"), whole...), "something stands before it"},
		"a zip64":                       {change(end+10, 0xff, 0xff), "zip64"},
		"a table beyond its end":        {change(end+16, 0xff, 0xff, 0xff, 0x7f), "no sound zip"},
		"an encrypted file":             {change(table+8, 1), "encrypted"},
		"packed with something unknown": {change(table+10, 99), "method 99"},
		"a size that is a lie":          {change(table+24, 20, 0, 0, 0), "not a valid zip"},
		"a wrong checksum":              {change(table+16, 0, 0, 0, 0), "checksum"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, all, err := readZip(c.data, source.DefaultLimits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v: want something of %q", all, err, c.want)
			}
		})
	}
}

// archive/zip compares the number of entries by its lower 16 bits alone, and reads as many as
// there are: a table of contents of a million entries is refused before it is read.
func TestAMillionEntriesAreRefusedBeforeTheyAreRead(t *testing.T) {
	const entries = 1_000_000
	var table bytes.Buffer
	header := make([]byte, 46)
	copy(header, "PK\x01\x02")
	header[28] = 7
	for i := range entries {
		table.Write(header)
		fmt.Fprintf(&table, "%07d", i)
	}
	end := make([]byte, 22)
	copy(end, "PK\x05\x06")
	n := entries
	binary.LittleEndian.PutUint16(end[8:], uint16(n))
	binary.LittleEndian.PutUint16(end[10:], uint16(n))
	binary.LittleEndian.PutUint32(end[12:], uint32(table.Len()))
	data := append(table.Bytes(), end...)
	if _, err := zip.NewReader(bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatalf("archive/zip itself refuses it (%v): the test tests nothing", err)
	}
	before := testing.AllocsPerRun(1, func() {
		if _, _, err := readZip(data, source.DefaultLimits); err == nil || !strings.Contains(err.Error(), "table of contents") {
			t.Errorf("got %v", err)
		}
	})
	if before > 1000 {
		t.Errorf("%v allocations: its entries were read", before)
	}
}

func TestAMillionEntriesOfATarAreRefused(t *testing.T) {
	read, write := io.Pipe()
	go func() {
		// Headers alone, packed as they are made: the reader must end before the writer does.
		_ = writeMany(write, 1_000_000)
	}()
	n := 0
	err := source.ReadTar(read, source.DefaultLimits, func(source.Entry, io.Reader) error { n++; return nil })
	_ = read.Close()
	if err == nil || n > source.DefaultLimits.Entries {
		t.Errorf("%d entries, %v", n, err)
	}
}

func TestBrokenTarsAreRefused(t *testing.T) {
	whole := tarOf(t, packed{name: "a/x", text: noise(100_000)})
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                  {nil, "no gzip"},
		"a page that says no":      {[]byte("<!DOCTYPE html>"), "no gzip"},
		"cut off":                  {whole[:len(whole)/2], "unexpected EOF"},
		"cut off at its checksum":  {whole[:len(whole)-4], "cut off"},
		"a byte changed on it way": {append(append(append([]byte{}, whole[:5000]...), whole[5000]^1), whole[5001:]...), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := readTar(c.data, source.DefaultLimits); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
}

func TestPluginsAsPeoplePackThem(t *testing.T) {
	files := []packed{
		{name: "newsletter/", mode: fs.ModeDir | fs.ModeSetgid | 0o775},
		{name: "newsletter/newsletter.php", text: "<?php // Plugin Name: Newsletter"},
		{name: "newsletter/css/a.css", text: "a{}", mode: 0o777},
		{name: "newsletter/css/b.css", mode: fs.ModeSymlink | 0o777, link: "a.css"},
		{name: "newsletter/empty/", mode: fs.ModeDir},
	}
	mac := append(files, packed{name: "__MACOSX/newsletter/._newsletter.php"}, packed{name: "newsletter/.DS_Store"})
	want := map[string]string{"newsletter.php": "<?php // Plugin Name: Newsletter", "css/a.css": "a{}", "css/b.css": "-> a.css"}
	for name, entries := range map[string][]packed{"plain": files, "from a Mac": mac, "without folders of their own": files[1:4]} {
		t.Run(name, func(t *testing.T) {
			top, all, err := readZip(zipOf(t, entries...), source.DefaultLimits)
			if err != nil || top != "newsletter" || !maps.Equal(all, want) {
				t.Errorf("got %s, %v, %v", top, all, err)
			}
		})
	}
	for name, entries := range map[string][]packed{
		"nothing":             {},
		"no folder":           {{name: "newsletter.php"}},
		"two folders":         {{name: "a/x"}, {name: "b/x"}},
		"a file beside":       {{name: "a/x"}, {name: "README"}},
		"a link at its place": {{name: "a", mode: fs.ModeSymlink, link: "b"}},
	} {
		if _, _, err := readZip(zipOf(t, entries...), source.DefaultLimits); err == nil || (name != "nothing" && report.HintOf(err) == "") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
