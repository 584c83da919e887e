package source

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"platen/internal/image"
	"platen/internal/report"
)

// Release finds the official archive of a version of WordPress, fetches it and compares it with the
// SHA-1 that is published beside it, which shows a damaged file and no more: what it returns is to be
// pinned. pinned is what was pinned before, if anything; when it still is what is published, it is
// not fetched again.
func (s *Sources) Release(ctx context.Context, version string, pinned image.Download, sink report.Sink) (image.Download, error) {
	d := image.Download{Name: "wordpress", Version: version, URL: s.releaseURL(version)}
	sha1, err := s.published(ctx, d.URL+".sha1")
	if gone(err) {
		sink.Log(step(d), "no SHA-1 is published for "+d.URL+": nothing but the connection vouches for the file")
	} else if err != nil {
		return d, fmt.Errorf("fetch the checksum of WordPress %s: %w", version, err)
	}
	if known, err := s.sumsOf(pinned); err == nil && sha1 != "" && known.sha1 == sha1 && known.sha256 == pinned.SHA256 {
		return pinned, nil
	}
	got, err := s.download(ctx, d, sink)
	if gone(err) {
		return d, report.Hint(fmt.Errorf("there is no WordPress %s at %s: %w", version, s.o.Releases, err),
			"look at wordpress.source in platen.yaml; "+Releases+"/download/releases lists the versions")
	}
	if err != nil {
		return d, fmt.Errorf("fetch WordPress %s: %w", version, err)
	}
	if sha1 != "" && got.sha1 != sha1 {
		err := fmt.Errorf("fetch WordPress %s: the SHA-1 of %s is %s, and %s is published", version, d.URL, got.sha1, sha1)
		return d, report.Hint(errors.Join(err, s.discard(got.sha256)), "nothing of it was used: try again later, or from another network")
	}
	d.SHA256, d.Size = got.sha256, got.size
	return d, nil
}

func (s *Sources) releaseURL(version string) string {
	return strings.TrimSuffix(s.o.Releases, "/") + "/wordpress-" + version + ".tar.gz"
}

// published reads a .sha1 file: 40 hexadecimal digits.
func (s *Sources) published(ctx context.Context, address string) (string, error) {
	data, err := s.small(ctx, address)
	if err != nil {
		return "", err
	}
	sum, _, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if decoded, err := hex.DecodeString(sum); err != nil || len(decoded) != 20 {
		return "", fmt.Errorf("%s is no SHA-1: %s", address, quote(string(data)))
	}
	return strings.ToLower(sum), nil
}

// Fetch brings a download to where Zip and Open find it, and returns it with its size. Nothing but
// the file with the pinned SHA-256 is ever used. What is there whole is not fetched again.
func (s *Sources) Fetch(ctx context.Context, d image.Download, sink report.Sink) (image.Download, error) {
	if _, err := hex.DecodeString(d.SHA256); err != nil || len(d.SHA256) != 64 {
		return d, fmt.Errorf("fetch %s: %s is no SHA-256", shown(d.URL), quote(d.SHA256))
	}
	size, err := s.cached(d)
	if err == nil {
		d.Size = size
		return d, nil
	}
	if damaged := (*sumError)(nil); errors.As(err, &damaged) {
		sink.Log(step(d), "it is fetched again, what the cache has is damaged: "+err.Error())
	}
	from := []string{d.URL}
	if official := s.releaseURL(d.Version); d.Version != "" && official != d.URL {
		from = []string{official, d.URL} // the mirror that is set now comes first
	}
	var failures []error
	for _, address := range from {
		one := d
		one.URL = address
		got, err := s.download(ctx, one, sink)
		if err == nil {
			d.Size = got.size
			return d, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			return d, context.Cause(ctx)
		}
		if disk := (*cacheError)(nil); errors.As(err, &disk) {
			break
		}
	}
	err = fmt.Errorf("fetch %s: %w", shown(d.URL), errors.Join(failures...))
	if wrong := (*sumError)(nil); errors.As(err, &wrong) {
		return d, report.Hint(err, "nothing of it was used. When the publisher has replaced the file, look at what changed, then pin it anew: sha256 in platen.yaml, or platen image update for WordPress itself")
	}
	if gone(err) {
		return d, report.Hint(err, "it is published there no more: name another address in platen.yaml, or keep a copy below the folder")
	}
	return d, err
}

// step is the name of a download's events.
func step(d image.Download) string {
	if d.Name != "" {
		return "sources/" + d.Name
	}
	return "sources/" + path.Base(shown(d.URL))
}

// shown is an address without its query, which may hold a licence key.
func shown(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "an address that is none"
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}

// cutTop takes the folder wordpress off a path.
func cutTop(p string) (string, bool) {
	if p == "wordpress" {
		return "", true
	}
	return strings.CutPrefix(p, "wordpress/")
}
