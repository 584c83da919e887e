package debian

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
)

const (
	stepIndex    = "packages/index"
	maxInRelease = 16 << 20  // trixie's has 140 kB
	maxPackages  = 512 << 20 // trixie's has 56 MB unpacked
	// clockSkew is how far ahead of this host's clock an index may be dated.
	clockSkew = 24 * time.Hour
)

// universe reads and verifies the indexes of arch, once an Archive.
func (a *Archive) universe(ctx context.Context, arch string, sink report.Sink) (_ *universe, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if u, ok := a.universes[arch]; ok {
		return u, nil
	}
	sink.Step(stepIndex, report.Running, "verifying the package index of "+a.o.Suite+" for "+arch)
	defer func() {
		a.client.CloseIdleConnections()
		if err != nil {
			sink.Step(stepIndex, report.Failed, err.Error())
		} else {
			sink.Step(stepIndex, report.Done, fmt.Sprintf("%d packages in %s", len(a.universes[arch].byName), a.o.Suite))
		}
	}()

	parts := a.parts()
	if a.releases == nil {
		releases := make([]release, len(parts))
		group, gctx := errgroup.WithContext(ctx)
		for i, p := range parts {
			group.Go(func() (err error) {
				releases[i], err = a.fetchRelease(gctx, p)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		a.releases = releases
	}
	indexes := make([][]entry, len(parts))
	group, gctx := errgroup.WithContext(ctx)
	for i, p := range parts {
		group.Go(func() (err error) {
			indexes[i], err = a.fetchPackages(gctx, p, a.releases[i], arch)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		a.releases = nil // the mirror may have moved on: the next call asks again
		return nil, err
	}
	u, err := newUniverse(indexes...)
	if err != nil {
		return nil, fmt.Errorf("read the index of Debian %s: %w", a.o.Suite, err)
	}
	a.universes[arch] = u
	return u, nil
}

// fetchRelease reads the InRelease file of a part and checks signature, name and dates.
func (a *Archive) fetchRelease(ctx context.Context, p part) (release, error) {
	url := p.base + "/dists/" + p.suite + "/InRelease"
	data, err := a.get(ctx, url, maxInRelease)
	if gone(err) {
		return release{}, report.Hint(fmt.Errorf("fetch the signed index of %s: %w", p.suite, err),
			"the mirror (from %s) does not carry %s; name one that does with image.mirror in platen.yaml or %s: the URL of the folder that holds dists/, and with a space after it that of the security archive when it is elsewhere",
			a.o.Mirror.From, p.suite, MirrorEnv)
	}
	if err != nil {
		return release{}, a.mirrorHint(fmt.Errorf("fetch the signed index of %s: %w", p.suite, err))
	}
	now := a.o.Now()
	text, err := verifyClearSigned(data, a.keys, now)
	if err != nil {
		return release{}, report.Hint(fmt.Errorf("verify %s: %w", url, err),
			"nothing of it was used. A proxy or the mirror changes or replaces files, or the mirror signs with a key of its own: name another mirror with image.mirror or %s, or for a private mirror the file with its public key in %s",
			MirrorEnv, KeyringEnv)
	}
	r, err := parseRelease(string(text))
	if err != nil {
		return release{}, fmt.Errorf("read %s: %w", url, err)
	}
	if r.Codename != p.suite && r.Suite != p.suite {
		return release{}, a.mirrorHint(fmt.Errorf("read %s: it is the index of %s (%s), want %s", url, r.Codename, r.Suite, p.suite))
	}
	if !r.ValidUntil.IsZero() && now.After(r.ValidUntil) {
		return release{}, report.Hint(
			fmt.Errorf("read %s: it was valid until %s, now is %s", url, r.ValidUntil.Format(time.RFC3339), now.UTC().Format(time.RFC3339)),
			"the mirror no longer follows Debian, or withholds security updates: name another with image.mirror or %s; if this host's clock is wrong, set it", MirrorEnv)
	}
	if r.Date.After(now.Add(clockSkew)) {
		return release{}, report.Hint(
			fmt.Errorf("read %s: it is dated %s, which is in the future: now is %s", url, r.Date.Format(time.RFC3339), now.UTC().Format(time.RFC3339)),
			"set this host's clock")
	}
	return r, nil
}

// fetchPackages reads the index of one architecture, from the cache when its content is there.
func (a *Archive) fetchPackages(ctx context.Context, p part, r release, arch string) ([]entry, error) {
	dir := "main/binary-" + arch + "/"
	// gzip first where it is offered: it is a third larger to fetch and unpacks four times faster.
	var file releaseFile
	var name string
	for _, ext := range []string{".gz", ".xz"} {
		if f, ok := r.Files[dir+"Packages"+ext]; ok {
			file, name = f, "Packages"+ext
			break
		}
	}
	if name == "" {
		return nil, report.Hint(fmt.Errorf("the index of %s lists no packages for %s", p.suite, arch),
			"want an architecture of Debian: amd64 or arm64")
	}
	if text, ok := a.cachedIndex(file.SHA256); ok {
		if entries, err := parsePackages(text, p.name); err == nil {
			return entries, nil
		}
	}

	url := p.base + "/dists/" + p.suite + "/" + dir + name
	data, err := a.getIndex(ctx, p, r, file, dir, name)
	if err != nil {
		return nil, err
	}
	plain, err := decompress(name, bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", url, err)
	}
	defer plain.Close()
	var text strings.Builder
	if err := slim(&text, io.LimitReader(plain, maxPackages)); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", url, err)
	}
	entries, err := parsePackages(text.String(), p.name)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", url, err)
	}
	if err := a.cacheIndex(file.SHA256, text.String()); err != nil {
		return nil, err
	}
	return entries, nil
}

// getIndex fetches a file that the signed release lists. By its hash it stays available while the
// mirror moves to the next release; not every mirror offers that.
func (a *Archive) getIndex(ctx context.Context, p part, r release, file releaseFile, dir, name string) ([]byte, error) {
	base := p.base + "/dists/" + p.suite + "/" + dir
	urls := []string{base + name}
	if r.ByHash {
		urls = []string{base + "by-hash/SHA256/" + file.SHA256, base + name}
	}
	var err error
	for _, url := range urls {
		var data []byte
		data, err = a.get(ctx, url, file.Size)
		if err == nil {
			err = checkContent(url, data, file)
		}
		if err == nil {
			return data, nil
		}
		if !gone(err) {
			break
		}
	}
	err = fmt.Errorf("fetch the package index of %s: %w", p.suite, err)
	var wrong *contentError
	if errors.As(err, &wrong) || gone(err) {
		return nil, report.Hint(err,
			"nothing of it was used. The mirror may be in the middle of an update: try again in a few minutes. If it stays, the mirror or a proxy changes files: name another with image.mirror in platen.yaml or %s", MirrorEnv)
	}
	return nil, a.mirrorHint(err)
}

func checkContent(url string, data []byte, want releaseFile) error {
	if int64(len(data)) != want.Size {
		return &contentError{url, fmt.Sprintf("%d bytes, the signed index says %d", len(data), want.Size)}
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want.SHA256 {
		return &contentError{url, fmt.Sprintf("its SHA256 is %x, the signed index says %s", sum, want.SHA256)}
	}
	return nil
}

func (a *Archive) indexPath(sha string) string {
	return filepath.Join(a.o.CacheDir, "index", sha+".zst")
}

// cachedIndex returns what slim made of the index with this checksum. zstd's own checksum finds a
// damaged file, which is then fetched anew.
func (a *Archive) cachedIndex(sha string) (string, bool) {
	f, err := os.Open(a.indexPath(sha))
	if err != nil {
		return "", false
	}
	defer f.Close()
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPackages))
	if err != nil {
		return "", false
	}
	defer z.Close()
	var text strings.Builder
	if _, err := z.WriteTo(&text); err != nil {
		return "", false
	}
	return text.String(), true
}

func (a *Archive) cacheIndex(sha, text string) error {
	path := a.indexPath(sha)
	f, err := createTemp(path)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		_ = os.Remove(f.Name()) // gone already when all went well
	}()
	z, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	if _, err := io.WriteString(z, text); err != nil {
		return cacheFailed(path, err)
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		return cacheFailed(path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return cacheFailed(path, err)
	}
	return nil
}
