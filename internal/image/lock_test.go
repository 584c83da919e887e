package image_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"platen/internal/image"
)

func pin(name, version string) image.Package {
	return image.Package{Name: name, Version: version, Architecture: "amd64", SHA256: strings.Repeat("ab", 32), Size: 7, Filename: "pool/main/" + name, Archive: "main"}
}

func TestLockIsReadAsItWasWritten(t *testing.T) {
	l := image.Lock{}
	l.Set("amd64", "web", roots, []image.Package{pin("zlib", "1:1"), pin("libc6", "2.41-12")})
	l.Set("amd64", "db", "fedcba9876543210", []image.Package{pin("libc6", "2.41-12")})
	data, err := l.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	again, err := image.ParseLock(data)
	if err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	second, err := again.Marshal()
	if err != nil || !bytes.Equal(data, second) {
		t.Fatalf("written again it is another file (%v):\n%s\n%s", err, data, second)
	}
	if packages, ok := again.Of("amd64", "db", "fedcba9876543210"); !ok || !reflect.DeepEqual(packages, []image.Package{pin("libc6", "2.41-12")}) {
		t.Errorf("db has %v, %v", packages, ok)
	}
	for _, c := range [][3]string{{"amd64", "db", "other roots"}, {"arm64", "db", "fedcba9876543210"}, {"amd64", "new", "fedcba9876543210"}} {
		if _, ok := again.Of(c[0], c[1], c[2]); ok {
			t.Errorf("%v is pinned", c)
		}
	}
}

func TestLockTellsWhatChanged(t *testing.T) {
	before, after := image.Lock{}, image.Lock{}
	before.Set("amd64", "web", roots, []image.Package{pin("old", "1"), pin("same", "1"), pin("up", "1")})
	after.Set("amd64", "web", roots, []image.Package{pin("new", "1"), pin("same", "1"), pin("up", "2")})
	var lines []string
	for _, c := range before.Changes(after) {
		lines = append(lines, c.String())
	}
	if want := []string{"new 1 is new (amd64)", "old 1 is gone (amd64)", "up 1 → 2 (amd64)"}; !reflect.DeepEqual(lines, want) {
		t.Errorf("got %q, want %q", lines, want)
	}
}

func TestLockTellsWhichArchivesChanged(t *testing.T) {
	of := func(pins ...image.Download) image.Lock { return image.Lock{Archives: pins} }
	wordpress := func(version, sum string) image.Download {
		return image.Download{Name: "wordpress", Version: version, URL: "https://example.com/w?licence=s3cret", SHA256: sum}
	}
	shop := image.Download{Name: "plugins/shop", URL: "https://example.com/s", SHA256: "cc"}
	for _, c := range []struct {
		before, after image.Lock
		want, json    string
	}{
		{of(wordpress("6.8.3", "aa"), shop), of(shop, wordpress("6.8.3", "aa")), "", "null"},
		{of(wordpress("6.8.3", "aa")), of(wordpress("6.8.3", "bb")), "wordpress 6.8.3 was replaced by its publisher: SHA-256 aa became bb",
			`[{"name":"wordpress","from":{"version":"6.8.3","sha256":"aa"},"to":{"version":"6.8.3","sha256":"bb"}}]`},
		{of(wordpress("6.8.2", "aa")), of(wordpress("6.8.3", "bb")), "wordpress 6.8.2 → 6.8.3, SHA-256 bb",
			`[{"name":"wordpress","from":{"version":"6.8.2","sha256":"aa"},"to":{"version":"6.8.3","sha256":"bb"}}]`},
		{of(), of(shop), "plugins/shop is new, SHA-256 cc", `[{"name":"plugins/shop","to":{"sha256":"cc"}}]`},
		{of(shop), of(), "plugins/shop is gone", `[{"name":"plugins/shop","from":{"sha256":"cc"}}]`},
	} {
		changes := c.before.ArchiveChanges(c.after)
		var lines []string
		for _, one := range changes {
			lines = append(lines, one.String())
		}
		text, err := json.Marshal(changes)
		if got := strings.Join(lines, "\n"); err != nil || got != c.want || string(text) != c.json {
			t.Errorf("got %s, %s (%v), want %s, %s", got, text, err, c.want, c.json)
		}
	}
}

func TestLockForgetsWhatNoImageAsksFor(t *testing.T) {
	l := image.Lock{}
	l.Set("amd64", "web", roots, []image.Package{pin("a", "1"), pin("b", "1")})
	l.Set("amd64", "web", "fedcba9876543210", []image.Package{pin("b", "2")})
	packages := l.Architectures["amd64"].Pins()
	if len(packages) != 1 || packages[0].Version != "2" {
		t.Errorf("pinned are %v", packages)
	}
}

const roots = "0123456789abcdef"

func TestLocksThatCannotBeTrustedAreRefused(t *testing.T) {
	good := image.Lock{}
	good.Set("amd64", "web", roots, []image.Package{pin("libc6", "2.41-12")})
	data, err := good.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":        {"version: 1", "version: 1\nfoo: 2", "[4:1]"},
		"a newer version":       {"version: 1", "version: 2", "newer platen"},
		"a package without sum": {strings.Repeat("ab", 32), "abc", `line 14: amd64: package "libc6" "abc" is not a SHA-256`},
		"a name that is a path": {"name: libc6", "name: ../libc6", `line 11: amd64: package "../libc6" is not a name`},
		"a bad version":         {"version: 2.41-12", "version: 2.41 12", `line 12: amd64: package "libc6" "2.41 12" is not a version`},
		"another architecture":  {"arch: amd64", "arch: i386", `line 13: amd64: package "libc6" is for "i386"`},
		"an absurd size":        {"size: 7", "size: 9000000000000", `line 15: amd64: package "libc6" cannot be 9000000000000 bytes`},
		"a negative size":       {"size: 7", "size: -7", `line 15: amd64: package "libc6" cannot be -7 bytes`},
		"a size that is a word": {"size: 7", "size: seven", `[15:15]`},
		"a file elsewhere":      {"file: pool/main/libc6", "file: pool/../../etc/passwd", `line 16: amd64: package "libc6" file "pool/../../etc/passwd" is not below`},
		"an archive unknown":    {"from: main", "from: backports", `line 17: amd64: package "libc6" is from "backports"`},
		"a file that is gone":   {"        file: pool/main/libc6\n", "", `amd64: package "libc6" file "" is not below`},
		"an unknown processor":  {"  amd64:", "  mips:", "mips: not an architecture"},
		"roots changed":         {"web: " + roots, "web: latest", `line 7: amd64: roots of web: "latest" is not`},
		"a closure changed":     {"closures:\n      web: ", "closures:\n      web: x", `line 9: amd64: closure of web: "x`},
		"a conflict's marker":   {"version: 1", "<<<<<<< ours\nversion: 1", "platen.lock"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := image.ParseLock(bytes.Replace(data, []byte(c.old), []byte(c.new), 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
}

func TestArchivesThatCannotBeTrustedAreRefused(t *testing.T) {
	good := image.Lock{Archives: []image.Download{
		{Name: "plugins/shop", URL: "https://example.com/shop.zip", SHA256: strings.Repeat("cd", 32), Size: 9},
		{Name: "wordpress", Version: "6.8.3", URL: "https://example.com/w.tar.gz", SHA256: strings.Repeat("ab", 32), Size: 7},
	}}
	data, err := good.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.ParseLock(data); err != nil {
		t.Fatalf("%v\n%s", err, data)
	}
	line := func(text string) string {
		before, _, found := strings.Cut(string(data), text)
		if !found {
			t.Fatalf("no %q in\n%s", text, data)
		}
		return fmt.Sprintf("line %d: ", strings.Count(before, "\n")+1)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"a sum that is none":    {strings.Repeat("ab", 32), "latest", line(strings.Repeat("ab", 32)) + `archive "wordpress" "latest" is not a SHA-256`},
		"a sum in capitals":     {strings.Repeat("cd", 32), strings.Repeat("CD", 32), line(strings.Repeat("cd", 32)) + `archive "plugins/shop" "CDCD`},
		"no size":               {"    size: 7\n", "", `archive "wordpress" cannot be 0 bytes`},
		"a negative size":       {"size: 7", "size: -7", line("size: 7") + `archive "wordpress" cannot be -7 bytes`},
		"an absurd size":        {"size: 9", "size: 9000000000000", line("size: 9") + `archive "plugins/shop" cannot be 9000000000000 bytes`},
		"another kind of place": {"https://example.com/w", "file:///etc/w", line("https://example.com/w") + `archive "wordpress" has no address`},
		"no name":               {"name: wordpress", `name: ""`, line("name: wordpress") + `archive "" has no name`},
		"a key that is unknown": {"size: 7", "size: 7\n    mirror: x", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := image.ParseLock(bytes.Replace(data, []byte(c.old), []byte(c.new), 1))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want something of %q", err, c.want)
			}
		})
	}
	both := strings.NewReplacer("size: 7", "size: -7", "size: 9", "size: -9").Replace(string(data))
	if _, err := image.ParseLock([]byte(both)); err == nil || !strings.Contains(err.Error(), line("size: 7")) || !strings.Contains(err.Error(), line("size: 9")) {
		t.Errorf("of two faults: %v", err)
	}
}
