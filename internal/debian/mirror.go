package debian

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"platen/internal/report"
)

// MirrorEnv names the environment variable that chooses a mirror for this host.
const MirrorEnv = "PLATEN_DEBIAN_MIRROR"

// snapshotService keeps every file that Debian ever published, by date and by checksum. It is slow
// and asks to be used sparingly, so it comes last. (https://snapshot.debian.org)
const snapshotService = "https://snapshot.debian.org"

// Mirror is where a Debian archive is found. The URLs have no slash at the end.
type Mirror struct {
	Main     string // below it dists/trixie and dists/trixie-updates
	Security string // below it dists/trixie-security
	From     string // where it was found, for people: "image.mirror", "/etc/apt/sources.list", …
}

// FindMirror chooses the mirror: option (image.mirror in platen.yaml), else PLATEN_DEBIAN_MIRROR,
// else what the host's own apt sources use, else Debian's snapshot service as of today.
//
// Option and variable are one URL (http, https or file), or two with a space between them: the main
// archive and the security archive. With one, the security archive is expected where Debian's
// mirrors have it: …/debian-security beside …/debian; a URL without such a part serves both.
func FindMirror(option string) (Mirror, error) {
	return findMirror(option, os.Getenv(MirrorEnv), os.DirFS("/"), time.Now())
}

func findMirror(option, env string, root fs.FS, now time.Time) (Mirror, error) {
	if strings.TrimSpace(option) != "" {
		return parseMirror(option, "image.mirror")
	}
	if strings.TrimSpace(env) != "" {
		return parseMirror(env, MirrorEnv)
	}
	if m, ok := hostMirror(root); ok {
		return m, nil
	}
	// The service answers with its last state before the given time.
	day := now.UTC().Format("20060102T000000Z")
	return Mirror{
		Main:     snapshotService + "/archive/debian/" + day,
		Security: snapshotService + "/archive/debian-security/" + day,
		From:     "Debian's snapshot service",
	}, nil
}

func parseMirror(text, from string) (Mirror, error) {
	urls := strings.Fields(text)
	if len(urls) > 2 {
		return Mirror{}, report.Hint(
			fmt.Errorf("%s: %q holds %d URLs", from, text, len(urls)),
			"give the URL of the main archive and, when it is elsewhere, that of the security archive")
	}
	for i, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil {
			return Mirror{}, fmt.Errorf("%s: %w", from, err)
		}
		known := parsed.Scheme == "http" || parsed.Scheme == "https" || parsed.Scheme == "file"
		if !known || (parsed.Host == "") != (parsed.Scheme == "file") {
			return Mirror{}, report.Hint(
				fmt.Errorf("%s: %q is no URL of a Debian archive", from, u),
				"write it as https://HOST/debian or file:///PATH/debian: the folder that holds dists/ and pool/")
		}
		urls[i] = strings.TrimRight(u, "/")
	}
	m := Mirror{Main: urls[0], Security: securityBeside(urls[0]), From: from}
	if len(urls) == 2 {
		m.Security = urls[1]
	}
	return m, nil
}

// securityBeside turns the last path element "debian" into "debian-security". Without one, main and
// security share a base, as in archives that aptly or reprepro publish.
func securityBeside(main string) string {
	scheme, rest, _ := strings.Cut(main, "://")
	parts := strings.Split(rest, "/")
	for i := len(parts) - 1; i > 0; i-- { // parts[0] is the host
		if parts[i] == "debian" {
			parts[i] = "debian-security"
			return scheme + "://" + strings.Join(parts, "/")
		}
	}
	return main
}

// hostMirror reads the host's apt sources. Only base URLs are taken: the host may run another suite.
func hostMirror(root fs.FS) (Mirror, bool) {
	var main, security string
	var from string
	best := 0
	for _, s := range aptSources(root) {
		switch {
		case s.isSecurity():
			if security == "" {
				security = s.URI
			}
		case s.mainScore() > best:
			best, main, from = s.mainScore(), s.URI, "/"+s.File
		}
	}
	if main == "" {
		return Mirror{}, false
	}
	if security == "" {
		security = securityBeside(main)
	}
	return Mirror{Main: main, Security: security, From: from}, true
}

// isSecurity tells Debian's security archive by its suite; the older form was bookworm/updates.
func (s aptSource) isSecurity() bool {
	security := strings.HasSuffix(s.Suite, "-security") || strings.HasSuffix(s.Suite, "/updates")
	return security && s.main() && s.signedByDebian() && path.Base(s.URI) == "debian-security"
}

// mainScore says how surely this is Debian's main archive; 0 is no. Vendors' archives are also called
// …/debian and have a component main (MariaDB's, for one), but are signed with keys of their own,
// and only Debian has a suite of updates.
func (s aptSource) mainScore() int {
	if path.Base(s.URI) != "debian" || strings.Contains(s.Suite, "/") || !s.main() || !s.signedByDebian() {
		return 0
	}
	score := 1
	if s.SignedBy != "" {
		score += 2
	}
	if strings.HasSuffix(s.Suite, "-updates") {
		score++
	}
	return score
}

func (s aptSource) signedByDebian() bool {
	return s.SignedBy == "" || strings.Contains(path.Base(s.SignedBy), "debian-archive")
}

func (s aptSource) main() bool {
	for _, c := range s.Components {
		if c == "main" {
			return true
		}
	}
	return false
}
