// Package debian reads a signed Debian archive: it verifies the indexes, works out which packages
// some roots need, and brings their .debs, verified, into a cache by content. It runs no
// maintainer script and needs neither root nor dpkg.
package debian

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"

	"platen/internal/retry"
)

// Options say which archive to read and where to keep what was read.
type Options struct {
	Mirror   Mirror
	CacheDir string // $XDG_CACHE_HOME/platen; made when missing
	Suite    string // "" = trixie
	Keyring  []byte // OpenPGP public keys, binary or armored; nil = Debian's, as embedded

	// Now is the time against which keys and indexes expire; nil = time.Now.
	Now func() time.Time
	// RetryWait is the pause before the second attempt; it doubles with each. 0 = 500 ms.
	RetryWait time.Duration
	// Wait pauses between attempts; nil = the clock.
	Wait func(context.Context, time.Duration) error
	// Stall is how long a connection may be silent before it counts as lost. 0 = 30 s.
	Stall time.Duration
	// Snapshot is the base URL of the service that still has what a mirror dropped;
	// "" = Debian's.
	Snapshot string
}

// Archive is one suite of a Debian archive with its updates and its security archive. It may be
// used by several goroutines, and its cache by several processes.
type Archive struct {
	o      Options
	keys   openpgp.EntityList
	client *http.Client

	mu        sync.Mutex
	releases  []release            // of parts(o); read and verified once an Archive
	universes map[string]*universe // by architecture

	verifiedMu sync.Mutex
	verified   map[string]os.FileInfo // .debs of the cache that were read and are whole, by SHA256
}

// New opens an archive. It touches neither network nor disk.
func New(o Options) (*Archive, error) {
	if o.Mirror.Main == "" || o.CacheDir == "" {
		return nil, errors.New("open the Debian archive: want a mirror and a cache folder")
	}
	if o.Mirror.Security == "" {
		o.Mirror.Security = securityBeside(o.Mirror.Main)
	}
	if o.Suite == "" {
		o.Suite = "trixie"
	}
	if o.Keyring == nil {
		o.Keyring = debianKeys
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.RetryWait == 0 {
		o.RetryWait = 500 * time.Millisecond
	}
	if o.Wait == nil {
		o.Wait = retry.Wait
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.Snapshot == "" {
		o.Snapshot = snapshotService
	}
	keys, err := parseKeyring(o.Keyring)
	if err != nil {
		return nil, err
	}
	return &Archive{o: o, keys: keys, client: newClient(), universes: map[string]*universe{}, verified: map[string]os.FileInfo{}}, nil
}

// The parts of an archive, as image.Package.Archive names them.
const (
	partMain     = "main"
	partUpdates  = "updates"
	partSecurity = "security"
)

// part is one signed index of the archive.
type part struct {
	name  string // main, updates, security
	suite string // trixie, trixie-updates, trixie-security
	base  string // URL that holds dists/ and pool/
}

// parts lists the indexes in the order in which equal versions are preferred.
func (a *Archive) parts() []part {
	return []part{
		{partMain, a.o.Suite, a.o.Mirror.Main},
		{partUpdates, a.o.Suite + "-updates", a.o.Mirror.Main},
		{partSecurity, a.o.Suite + "-security", a.o.Mirror.Security},
	}
}
