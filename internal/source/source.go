// Package source brings what images hold and Debian has no package of: WordPress as its project
// releases it or as a folder, plugins and themes as zips. It trusts no archive: see Limits.
package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/retry"
)

// ReleasesEnv names another place of the official archives: a mirror of one's own.
const ReleasesEnv = "PLATEN_WORDPRESS_URL"

// Releases is where the project publishes wordpress-VERSION.tar.gz and its .sha1.
const Releases = "https://wordpress.org"

// Options of a Sources. Only CacheDir is needed.
type Options struct {
	CacheDir  string        // files are kept below it by their SHA-256
	Releases  string        // base of the official archives' addresses; "" = Releases
	Limits    Limits        // zero = DefaultLimits
	Stall     time.Duration // how long a server may be silent; 0 = 30 s
	RetryWait time.Duration // before the second attempt, doubled after each; 0 = 500 ms
	Transport http.RoundTripper
	Wait      func(context.Context, time.Duration) error // pauses between attempts; nil = the clock
}

// Sources fetches and opens archives. It is safe for concurrent use, also by several processes.
type Sources struct {
	o      Options
	client *http.Client

	mu       sync.Mutex
	verified map[string]os.FileInfo // files of the cache that were read and are whole, by SHA-256
}

// New returns Sources.
func New(o Options) *Sources {
	if o.Releases == "" {
		o.Releases = Releases
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	if o.Stall == 0 {
		o.Stall = 30 * time.Second
	}
	if o.RetryWait == 0 {
		o.RetryWait = 500 * time.Millisecond
	}
	if o.Wait == nil {
		o.Wait = retry.Wait
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableCompression = true // a checksum is that of the file as it is
		o.Transport = t
	}
	return &Sources{o: o, client: &http.Client{Transport: o.Transport, CheckRedirect: redirect}, verified: map[string]os.FileInfo{}}
}

// redirect follows what a browser would, but never from https to http.
func redirect(req *http.Request, via []*http.Request) error {
	if len(via) >= 10 {
		return errors.New("redirected 10 times")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirected from https to %s", req.URL.Scheme)
	}
	return nil
}

func (s *Sources) path(sha256 string) string {
	return filepath.Join(s.o.CacheDir, "sha256", sha256[:2], sha256)
}

// Zip opens a plugin's or theme's zip: one that Fetch has brought when its hash is given, else the
// file at path. It returns the name of the folder that the zip holds and what is in that.
func (s *Sources) Zip(path, sha256 string) (name string, content fs.FS, closer io.Closer, err error) {
	if sha256 != "" {
		path = s.path(sha256)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", nil, nil, err
	}
	if sha256 != "" {
		if _, err := s.verify(f, sha256); err != nil {
			return "", nil, nil, errors.Join(err, f.Close())
		}
	}
	stat, err := f.Stat()
	if err == nil {
		name, content, err = ReadZip(f, stat.Size(), s.o.Limits)
	}
	if err != nil {
		return "", nil, nil, errors.Join(err, f.Close())
	}
	return name, content, f, nil
}

// Folder opens the site's own tree of WordPress.
func (s *Sources) Folder(dir string) (image.Core, error) {
	return OpenFolder(os.DirFS(dir), s.o.Limits)
}

// Open returns the official archive that Release or Fetch has brought as a data.tar: what a Debian
// package of WordPress would hold.
func (s *Sources) Open(d image.Download) (io.ReadCloser, error) {
	f, err := os.Open(s.path(d.SHA256))
	if err != nil {
		return nil, fmt.Errorf("open WordPress %s: %w", d.Version, err)
	}
	if _, err := s.verify(f, d.SHA256); err != nil {
		return nil, fmt.Errorf("open WordPress %s: %w", d.Version, errors.Join(err, f.Close()))
	}
	return stream(func(w io.Writer) (err error) {
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := writeRelease(w, f, d.Version, s.o.Limits); err != nil {
			return report.Hint(fmt.Errorf("unpack %s (%s): %w", shown(d.URL), f.Name(), err),
				"the file has the pinned SHA-256: it is the publisher's that is wrong")
		}
		return nil
	}), nil
}

// Package reads an official archive as a data.tar.
func Package(packed io.Reader, version string, limits Limits) io.ReadCloser {
	return stream(func(w io.Writer) error { return writeRelease(w, packed, version, limits) })
}

// writeRelease turns an official archive, a folder wordpress with everything in it, into a data.tar.
func writeRelease(w io.Writer, packed io.Reader, version string, limits Limits) error {
	out := newCoreWriter(w)
	err := ReadTar(packed, limits, func(e Entry, content io.Reader) error {
		below, ok := cutTop(e.Path)
		if !ok {
			return fmt.Errorf("%s: is not in the folder wordpress", quote(e.Path))
		}
		if e.Path = below; below == "" {
			return nil
		}
		return out.add(e, content)
	})
	if err != nil {
		return err
	}
	return out.close(version)
}
