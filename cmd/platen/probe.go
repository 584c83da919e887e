package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"platen/internal/capacity"
	"platen/internal/debian"
	"platen/internal/docker"
	"platen/internal/engine"
	"platen/internal/report"
	"platen/internal/site"
)

const (
	// oldest API that the local place is tried on (Engine 20.10, Debian 12).
	oldestAPI = "1.41"
	// roomWanted is what the packages, layers and loaded images of one site take, twice over.
	roomWanted = 3 << 30
	// probeTime bounds what a mirror may take to answer.
	probeTime = 10 * time.Second
)

// probe looks at what the adapters need of this machine, for doctor.
func probe(ctx context.Context, spec site.Spec) []engine.Check {
	checks := probeEngine(ctx, spec)
	checks = append(checks, probeCache()...)
	return append(checks, probeMirror(ctx, spec), probeKeyring())
}

func probeEngine(ctx context.Context, spec site.Spec) []engine.Check {
	if spec.Target != site.Local {
		return nil
	}
	place, err := docker.New(ctx, docker.Options{})
	if err != nil {
		return nil // the engine's own check says why
	}
	defer func() { _ = place.Close() }()
	v, err := place.API().ServerVersion(ctx, client.ServerVersionOptions{})
	if err != nil {
		return []engine.Check{check("engine", "version", "", err)}
	}
	c := check("engine", "version", fmt.Sprintf("%s (API %s)", v.Version, v.APIVersion), nil)
	if older(v.APIVersion, oldestAPI) {
		c.State, c.Do = engine.Warn, "upgrade it: Platen is tried on API "+oldestAPI+" and newer"
	}
	return []engine.Check{c}
}

// older compares API versions, MAJOR.MINOR.
func older(version, than string) bool {
	var a, b [2]int
	_, errA := fmt.Sscanf(version, "%d.%d", &a[0], &a[1])
	_, errB := fmt.Sscanf(than, "%d.%d", &b[0], &b[1])
	return errA == nil && errB == nil && (a[0] < b[0] || a[0] == b[0] && a[1] < b[1])
}

func probeCache() []engine.Check {
	folder, err := cacheFolder()
	if err != nil {
		return []engine.Check{check("machine", "cache", "", err)}
	}
	// Nothing is made for a look: the nearest folder that is there decides.
	there := folder
	for {
		if _, err := os.Stat(there); err == nil || there == filepath.Dir(there) {
			break
		}
		there = filepath.Dir(there)
	}
	writable := check("machine", "cache", folder, nil)
	if err := unix.Access(there, unix.W_OK); err != nil {
		writable = check("machine", "cache", "", report.Hint(fmt.Errorf("write to %s: %w", there, err),
			"set XDG_CACHE_HOME to a folder of your own, or: sudo chown -R $USER %s", there))
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(there, &fs); err != nil {
		return []engine.Check{writable, check("machine", "disk", "", fmt.Errorf("look at the disk of %s: %w", there, err))}
	}
	room := int64(fs.Bavail) * int64(fs.Bsize)
	disk := check("machine", "disk", capacity.Bytes(room)+" free at "+there, nil)
	if room < roomWanted {
		disk.State, disk.Do = engine.Warn, "free some: a first build takes up to "+capacity.Bytes(roomWanted)+"; docker system df shows what the engine keeps"
	}
	return []engine.Check{writable, disk}
}

func probeMirror(ctx context.Context, spec site.Spec) engine.Check {
	m, err := debian.FindMirror(spec.Image.Mirror)
	if err != nil {
		return check("archive", "mirror", "", err)
	}
	if err := reach(ctx, m.Main+"/dists/trixie/InRelease"); err != nil {
		return check("archive", "mirror", "", report.Hint(fmt.Errorf("reach the Debian mirror (from %s): %w", m.From, err),
			"check the network, or name another mirror: %s=URL, or image.mirror in %s", debian.MirrorEnv, engine.FileName))
	}
	return check("archive", "mirror", m.Main+", from "+m.From, nil)
}

func reach(ctx context.Context, url string) error {
	if path, ok := strings.CutPrefix(url, "file://"); ok {
		_, err := os.Stat(path)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}

func probeKeyring() engine.Check {
	keyring, err := debian.FindKeyring()
	if err != nil {
		return check("archive", "keyring", "", err)
	}
	if keyring == nil {
		return check("archive", "keyring", "Debian's own keys", nil)
	}
	return check("archive", "keyring", os.Getenv(debian.KeyringEnv), nil)
}

// check is one result: ok with what was found, or failed with what to do.
func check(group, name, found string, err error) engine.Check {
	if err != nil {
		return engine.Check{Group: group, Name: name, State: engine.Fail, Detail: err.Error(), Do: report.HintOf(err)}
	}
	return engine.Check{Group: group, Name: name, State: engine.OK, Detail: found}
}
