// Package debiantest serves a small signed Debian archive to tests: real .debs, real indexes, a key
// made for the occasion, and faults on request.
package debiantest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/clearsign"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	"github.com/ulikunitz/xz"
)

// Suite is the suite that an Archive serves.
const Suite = "trixie"

// architectures have an index each; packages of architecture all are in both.
var architectures = []string{"amd64", "arm64"}

// Archive is a Debian archive on a local HTTP server. Its methods may be called while it serves;
// what they change is signed again at once.
type Archive struct {
	URL         string // of the main archive: …/debian
	SecurityURL string // …/debian-security
	SnapshotURL string // a snapshot service that has every package that was ever added
	Keyring     []byte // the public key, binary
	KeyringFile string // the same as a file, for PLATEN_DEBIAN_KEYRING

	t          testing.TB
	mu         sync.Mutex
	key        *openpgp.Entity
	packages   []built
	files      map[string][]byte // by URL path
	snapshots  map[string][]byte // by URL path
	faults     []*Fault
	requests   []string
	date       time.Time
	validUntil time.Time
	codename   string // instead of the right one, when set
}

// built is a package with its .deb.
type built struct {
	Package
	deb []byte
}

// New serves the packages until the test ends.
func New(t testing.TB, packages ...Package) *Archive {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	a := &Archive{t: t, key: newKey(t, 0), date: now, validUntil: now.Add(7 * 24 * time.Hour), snapshots: map[string][]byte{}}

	a.KeyringFile = filepath.Join(t.TempDir(), "keyring.gpg")
	a.writeKeyring()
	server := httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(server.Close)
	a.URL, a.SecurityURL, a.SnapshotURL = server.URL+"/debian", server.URL+"/debian-security", server.URL+"/snapshot"
	a.Add(packages...)
	return a
}

// newKey makes a signing key that ends after lifetime; 0 = never.
func newKey(t testing.TB, lifetime time.Duration) *openpgp.Entity {
	t.Helper()
	// Made yesterday, for archives that are dated a little in the past.
	config := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, DefaultHash: crypto.SHA256,
		Time:            func() time.Time { return time.Now().Add(-24 * time.Hour) },
		KeyLifetimeSecs: uint32(lifetime.Seconds())}
	key, err := openpgp.NewEntity("Test archive", "", "archive@example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (a *Archive) writeKeyring() {
	a.t.Helper()
	var keyring bytes.Buffer
	if err := a.key.Serialize(&keyring); err != nil {
		a.t.Fatal(err)
	}
	a.Keyring = keyring.Bytes()
	if err := os.WriteFile(a.KeyringFile, a.Keyring, 0o644); err != nil {
		a.t.Fatal(err)
	}
}

// Add publishes further packages; the versions before stay.
func (a *Archive) Add(packages ...Package) {
	a.t.Helper()
	var more []built
	for _, p := range packages {
		more = append(more, built{p, p.Deb(a.t)})
	}
	a.change(func() {
		a.packages = append(a.packages, more...)
		for _, p := range more {
			a.keep(p)
		}
	})
}

// Drop takes a version off the mirror, as Debian does when a newer one comes. The snapshot service
// still has it.
func (a *Archive) Drop(name, version string) {
	a.change(func() {
		a.packages = slices.DeleteFunc(a.packages, func(p built) bool { return p.Name == name && p.version() == version })
	})
}

// Forget makes the snapshot service lose all that was added so far.
func (a *Archive) Forget() { a.change(func() { clear(a.snapshots) }) }

// SetDates dates the indexes. A zero validUntil leaves the field out.
func (a *Archive) SetDates(date, validUntil time.Time) {
	a.change(func() { a.date, a.validUntil = date, validUntil })
}

// SetCodename makes every index say that it is of another suite.
func (a *Archive) SetCodename(name string) { a.change(func() { a.codename = name }) }

// ReplaceKey signs with a new key, which is not in Keyring.
func (a *Archive) ReplaceKey() { a.change(func() { a.key = newKey(a.t, 0) }) }

// ExpireKey signs with a key that ended hours ago, and puts it into Keyring and its file.
func (a *Archive) ExpireKey() {
	a.t.Helper()
	a.change(func() { a.key = newKey(a.t, time.Hour) })
	a.writeKeyring()
}

// Edit replaces a published file without signing again: what a hostile mirror would do. name ends
// its URL path.
func (a *Archive) Edit(name string, edit func([]byte) []byte) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	found := false
	for p, data := range a.files {
		if strings.HasSuffix(p, name) {
			a.files[p], found = edit(bytes.Clone(data)), true
		}
	}
	if !found {
		a.t.Fatalf("debiantest: no published file ends in %q", name)
	}
}

// Requests lists the URL paths that were asked for, in order.
func (a *Archive) Requests() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// change alters the archive and publishes it anew.
func (a *Archive) change(alter func()) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	alter()
	files := map[string][]byte{}
	for _, part := range []string{"", Updates, Security} {
		base, suite := "/debian", Suite
		if part != "" {
			suite += "-" + part
		}
		if part == Security {
			base = "/debian-security"
		}
		a.publish(files, base, suite, part)
	}
	a.files = files
}

// publish writes one suite: pool, Packages of each architecture (main compressed with gzip and xz,
// the others with xz alone, as Debian has it), InRelease.
func (a *Archive) publish(files map[string][]byte, base, suite, part string) {
	a.t.Helper()
	dists := base + "/dists/" + suite + "/"
	var sums strings.Builder
	for _, arch := range architectures {
		var index strings.Builder
		for _, p := range a.packages {
			if p.Archive != part || (p.arch() != "all" && p.arch() != arch) {
				continue
			}
			files[base+"/"+p.filename()] = p.deb
			fmt.Fprintf(&index, "%sFilename: %s\nSize: %d\nSHA256: %x\nDescription: a test package\n with a second line\n\n",
				p.control(), p.filename(), len(p.deb), sha256.Sum256(p.deb))
		}
		plain := []byte(index.String())
		variants := map[string][]byte{"Packages.xz": compressXZ(a.t, plain)}
		if part == "" {
			variants["Packages.gz"] = compressGzip(a.t, plain)
		}
		for _, name := range slices.Sorted(maps.Keys(variants)) {
			data, dir := variants[name], "main/binary-"+arch+"/"
			sum := fmt.Sprintf("%x", sha256.Sum256(data))
			files[dists+dir+name] = data
			files[dists+dir+"by-hash/SHA256/"+sum] = data
			fmt.Fprintf(&sums, " %s %8d %s\n", sum, len(data), dir+name)
		}
	}
	until := ""
	if !a.validUntil.IsZero() {
		until = "Valid-Until: " + a.validUntil.UTC().Format(time.RFC1123) + "\n"
	}
	codename := cmp.Or(a.codename, suite)
	text := fmt.Sprintf("Origin: Test\nSuite: %s\nCodename: %s\nDate: %s\n%sAcquire-By-Hash: yes\nArchitectures: all %s\nComponents: main\nSHA256:\n%s",
		codename, codename, a.date.UTC().Format(time.RFC1123), until, strings.Join(architectures, " "), sums.String())
	files[dists+"InRelease"] = sign(a.t, a.key, text)
}

// keep puts a package into the snapshot service.
func (a *Archive) keep(p built) {
	hash := fmt.Sprintf("%x", sha1.Sum(p.deb))
	type file struct {
		Size int `json:"size"`
	}
	type binary struct {
		Architecture string `json:"architecture"`
		Hash         string `json:"hash"`
	}
	answer, err := json.Marshal(map[string]any{
		"result":   []binary{{p.arch(), hash}},
		"fileinfo": map[string][]file{hash: {{len(p.deb)}}},
	})
	if err != nil {
		a.t.Fatal(err)
	}
	a.snapshots["/snapshot/mr/binary/"+p.Name+"/"+p.version()+"/binfiles"] = answer
	a.snapshots["/snapshot/file/"+hash] = p.deb
}

func (a *Archive) serve(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.requests = append(a.requests, r.URL.Path)
	data, ok := a.files[r.URL.Path]
	if !ok {
		data, ok = a.snapshots[r.URL.Path]
	}
	fault := a.faultFor(r.URL.Path)
	a.mu.Unlock()
	if fault != nil {
		w, data = fault.apply(w, r, data)
		if w == nil {
			return
		}
	}
	if !ok {
		http.NotFound(w, r)
		return
	}
	http.ServeContent(w, r, path.Base(r.URL.Path)+".bin", time.Time{}, bytes.NewReader(data))
}

func sign(t testing.TB, key *openpgp.Entity, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := clearsign.Encode(&out, key.PrivateKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compressXZ(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := xz.WriterConfig{DictCap: 1 << 16}.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func compressGzip(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Write makes the archive a folder: dir/debian, dir/debian-security. It returns dir.
func (a *Archive) Write(dir string) string {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for name, data := range a.files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			a.t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			a.t.Fatal(err)
		}
	}
	return dir
}
