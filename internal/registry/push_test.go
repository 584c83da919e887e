package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"platen/internal/image"
	"platen/internal/report"
)

const amd64, arm64 = "linux/amd64", "linux/arm64"

func TestPush(t *testing.T) {
	s, ctx := serve(t), context.Background()
	images := []image.Image{
		imageOf(t, "nginx", amd64, layerOf("a", 3<<20), layerOf("b", 1000)),
		imageOf(t, "valkey", amd64, layerOf("c", 5000)),
	}
	one := s.try()
	references, err := one.push(ctx, images...)
	if err != nil {
		t.Fatal(err)
	}
	s.holds(references, images...)
	if want := s.repository("nginx") + "@" + images[0].Digest; references["nginx"] != want {
		t.Errorf("the reference is %s, want %s", references["nginx"], want)
	}
	if got, want := s.received(), sizeOf(t, images...); got != want {
		t.Errorf("%d bytes were sent, want %d", got, want)
	}
	var last report.Event
	for _, e := range one.events {
		if e.Step == "push/nginx" && e.Total > 0 {
			last = e
		}
	}
	if want := sizeOf(t, images[0]); last.Current != want || last.Total != want {
		t.Errorf("progress ended at %d of %d, want %d", last.Current, last.Total, want)
	}

	t.Run("again", func(t *testing.T) {
		s.on(nil)
		two := s.try()
		again, err := two.push(ctx, images...)
		if err != nil {
			t.Fatal(err)
		}
		s.holds(again, images...)
		if n := s.count("POST", "") + s.count("PUT", "") + s.count("PATCH", "") + s.count("HEAD", "/blobs/"); n != 0 {
			t.Errorf("%d requests for what is there: %v", n, s.requests)
		}
		if e := two.events[len(two.events)-1]; e.State != report.Same {
			t.Errorf("the step is %s, want unchanged", e.State)
		}
	})
	t.Run("another tag", func(t *testing.T) {
		s.on(nil)
		three := s.try()
		three.options.Tag = "v1"
		if _, err := three.push(ctx, images...); err != nil {
			t.Fatal(err)
		}
		if n := s.count("POST", "") + s.count("PATCH", "") + s.count("HEAD", "/blobs/"); n != 0 || s.count("PUT", "/manifests/v1") != 2 {
			t.Errorf("a tag is one manifest: %v", s.requests)
		}
	})
	t.Run("one small layer changed", func(t *testing.T) {
		s.on(nil)
		changed := imageOf(t, "nginx", amd64, layerOf("a", 3<<20), layerOf("b2", 1200))
		references, err := s.try().push(ctx, changed)
		if err != nil {
			t.Fatal(err)
		}
		s.holds(references, changed)
		if got, want := s.received(), sizeOf(t, changed)-3<<20; got != want || got > 1<<20 {
			t.Errorf("%d bytes were sent, want %d", got, want)
		}
	})
}

func TestPushSeveralPlatforms(t *testing.T) {
	s := serve(t)
	shared := layerOf("scripts", 2<<20)
	images := []image.Image{
		imageOf(t, "nginx", arm64, shared, layerOf("arm", 3000)),
		imageOf(t, "nginx", amd64, shared, layerOf("amd", 3000)),
	}
	references, err := s.try().push(context.Background(), images...)
	if err != nil {
		t.Fatal(err)
	}
	s.holds(references, images...)
	if got, want := s.received(), sizeOf(t, images...); got != want {
		t.Errorf("%d bytes were sent, want %d: the shared layer once", got, want)
	}
	swapped, err := s.try().push(context.Background(), images[1], images[0])
	if err != nil || swapped["nginx"] != references["nginx"] {
		t.Errorf("in another order the index is %s (%v), want %s", swapped["nginx"], err, references["nginx"])
	}
	answer := httptest.NewRecorder()
	_, digest, _ := strings.Cut(references["nginx"], "@")
	s.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/team/blog-nginx/manifests/"+digest, nil))
	index, err := v1.ParseIndexManifest(answer.Body)
	if err != nil || index.MediaType != types.OCIImageIndex || len(index.Manifests) != 2 || index.Manifests[0].Platform.String() != amd64 {
		t.Errorf("the index is %+v, %v", index, err)
	}
	if _, err := s.try().push(context.Background(), images[0], images[0]); err == nil {
		t.Error("one platform twice was taken")
	}
}

func TestPushMountsWhatImagesShare(t *testing.T) {
	s := serve(t)
	php := layerOf("php", 2<<20)
	images := []image.Image{
		imageOf(t, "wordpress", amd64, php, layerOf("site", 1000)),
		imageOf(t, "jobs", amd64, php, layerOf("tools", 1000)),
	}
	references, err := s.try().push(context.Background(), images...)
	if err != nil {
		t.Fatal(err)
	}
	s.holds(references, images...)
	if got, want := s.received(), sizeOf(t, images...); got != want {
		t.Errorf("%d bytes were sent, want %d", got, want)
	}
}

func TestPushToARegistryThatMountsNothing(t *testing.T) {
	for _, status := range []int{http.StatusAccepted, http.StatusMethodNotAllowed} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			s := serve(t)
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Query().Get("mount") == "" {
					return false
				}
				if status == http.StatusAccepted {
					r.URL.RawQuery = ""
					return false
				}
				refuse(w, status, "UNSUPPORTED", "")
				return true
			})
			php := layerOf("php", 2<<20)
			images := []image.Image{imageOf(t, "wordpress", amd64, php), imageOf(t, "jobs", amd64, php, layerOf("tools", 1000))}
			references, err := s.try().push(context.Background(), images...)
			if err != nil {
				t.Fatal(err)
			}
			s.holds(references, images...)
			if got, want := s.received(), sizeOf(t, images[0])+sizeOf(t, images[1]); got != want {
				t.Errorf("%d bytes were sent, want %d", got, want)
			}
		})
	}
}

// A connection that breaks in the middle of a blob costs what was under way, and no more.
func TestPushGoesOnAfterABreak(t *testing.T) {
	const size, piece, until = 12 << 20, 2 << 20, 3 << 19
	for _, c := range []struct {
		keeps  string
		breaks int
		most   int64 // bytes that arrive beyond the blob
		opened int   // uploads: one is the configuration's
	}{
		{"bytes", 1, 0, 2},
		{"bytes", 4, 0, 2},
		{"requests", 1, until, 3}, // nothing was kept: from the start, in pieces
		{"requests", 4, 4 * until, 3},
		{"nothing", 1, until, 3},
		{"nothing", 2, 2*until + piece, 4},
	} {
		t.Run(fmt.Sprintf("%s kept, %d breaks", c.keeps, c.breaks), func(t *testing.T) {
			s := serve(t)
			s.keeps = c.keeps
			// Every second request breaks, so that there is something to go on from.
			n := 0
			s.on(first(c.breaks, func(r *http.Request) bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				if !large(r) {
					return false
				}
				n++
				return n%2 == 1
			}, func(w http.ResponseWriter, r *http.Request) { s.cut(w, r, until) }))
			img := imageOf(t, "nginx", amd64, layerOf("a", size))
			try := s.try()
			try.options.Chunk = piece
			references, err := try.push(context.Background(), img)
			if err != nil {
				t.Fatal(err)
			}
			s.holds(references, img)
			if extra := s.received() - sizeOf(t, img); extra < 0 || extra > c.most {
				t.Errorf("%d bytes too many arrived, want at most %d", extra, c.most)
			}
			if got := s.count("POST", "/uploads/"); got != c.opened {
				t.Errorf("%d uploads were begun, want %d", got, c.opened)
			}
			if len(try.waits) != c.breaks {
				t.Errorf("there were %d pauses for %d breaks", len(try.waits), c.breaks)
			}
		})
	}
}

// Some registries take a blob in one request or not at all.
func TestPushToARegistryWithoutPieces(t *testing.T) {
	s := serve(t)
	broken := first(1, large, func(w http.ResponseWriter, r *http.Request) { s.cut(w, r, 1<<20) })
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Content-Range") != "" {
			refuse(w, http.StatusRequestedRangeNotSatisfiable, "BLOB_UPLOAD_INVALID", "")
			return true
		}
		return broken(w, r)
	})
	img := imageOf(t, "nginx", amd64, layerOf("a", 9<<20))
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	s.holds(references, img)
}

// The registry has everything, only its answer was lost.
func TestPushAnswerLost(t *testing.T) {
	s := serve(t)
	s.on(first(1, func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/")
	},
		func(_ http.ResponseWriter, r *http.Request) {
			s.pass(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}))
	img := imageOf(t, "nginx", amd64, layerOf("a", 3<<20))
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	s.holds(references, img)
	if got, want := s.received(), sizeOf(t, img); got != want {
		t.Errorf("%d bytes were sent, want %d", got, want)
	}
}

// billOf is an artifact that has the image for its subject.
func billOf(t *testing.T, img image.Image) (v1.Image, v1.Hash) {
	t.Helper()
	bill := mutate.Subject(mutate.MediaType(imageOf(t, "bill", amd64, layerOf("sbom", 700)).OCI, types.OCIManifestSchema1), v1.Descriptor{
		MediaType: types.OCIManifestSchema1, Digest: v1.Hash{Algorithm: "sha256", Hex: strings.TrimPrefix(img.Digest, "sha256:")}, Size: 1,
	}).(v1.Image)
	digest, err := bill.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return bill, digest
}

// A push that could not attach everything has put the tag all the same: the next one attaches it.
func TestPushRepeatsWhatWasNotAttached(t *testing.T) {
	img := imageOf(t, "nginx", amd64, layerOf("a", 5000))
	bill, digest := billOf(t, img)
	var uploads atomic.Int64
	standIn := "/manifests/" + strings.Replace(img.Digest, ":", "-", 1)
	for name, broken := range map[string]func(r *http.Request) bool{
		"its blobs": func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/blobs/uploads/") && uploads.Add(1) > 2 // the image's layer and configuration
		},
		"its manifest": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, digest.String())
		},
		"its listing": func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, standIn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t) // a registry of OCI 1.0, which keeps no list of what refers to an image
			push := func(f fault) ([]report.Event, error) {
				s.on(f)
				try := s.try()
				try.options.Attach = func(image.Image) (v1.Image, error) { return bill, nil }
				_, err := try.push(context.Background(), img)
				return try.events, err
			}
			if _, err := push(func(w http.ResponseWriter, r *http.Request) bool {
				if !broken(r) {
					return false
				}
				refuse(w, http.StatusForbidden, "DENIED", "not today")
				return true
			}); err != nil {
				t.Fatal(err)
			}
			events, err := push(nil)
			if err != nil {
				t.Fatal(err)
			}
			if e := events[len(events)-1]; e.State != report.Done {
				t.Errorf("the step is %s although something was sent", e.State)
			}
			for _, path := range []string{"/manifests/" + digest.String(), standIn} {
				answer := httptest.NewRecorder()
				s.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/team/blog-nginx"+path, nil))
				if answer.Code != http.StatusOK || path == standIn && !strings.Contains(answer.Body.String(), digest.String()) {
					t.Errorf("%s: %d %s", path, answer.Code, answer.Body)
				}
			}
			if events, err = push(nil); err != nil || events[len(events)-1].State != report.Same || s.count("PUT", "")+s.count("POST", "") != 0 {
				t.Errorf("the third time: %v, %v, %v", err, events, s.requests)
			}
		})
	}
}

// What belongs to an image is there before its tag; a registry that does not want it gets the image.
func TestPushAttaches(t *testing.T) {
	for _, takes := range []bool{true, false} {
		t.Run(fmt.Sprint(takes), func(t *testing.T) {
			s := serve(t)
			img := imageOf(t, "nginx", amd64, layerOf("a", 5000))
			bill, digest := billOf(t, img)
			path := "/v2/team/blog-nginx/manifests/" + digest.String()
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if !takes && r.Method == http.MethodPut && r.URL.Path == path {
					refuse(w, http.StatusBadRequest, "MANIFEST_INVALID", "no artifacts here")
					return true
				}
				return false
			})
			try := s.try()
			try.options.Attach = func(image.Image) (v1.Image, error) { return bill, nil }
			references, err := try.push(context.Background(), img)
			if err != nil {
				t.Fatal(err)
			}
			s.holds(references, img)
			answer := httptest.NewRecorder()
			s.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
			if (answer.Code == http.StatusOK) != takes {
				t.Errorf("the attached manifest: %d", answer.Code)
			}
			if told := slices.ContainsFunc(try.events, func(e report.Event) bool { return strings.Contains(e.Detail, "no artifacts here") }); told == takes {
				t.Errorf("it was told: %t", told)
			}
		})
	}
}

func TestPushToABusyRegistry(t *testing.T) {
	seven := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		refuse(w, http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down")
	}
	dated := func(w http.ResponseWriter, _ *http.Request) {
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		w.Header().Set("Date", now.Format(http.TimeFormat))
		w.Header().Set("Retry-After", now.Add(7*time.Second).Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	failing := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	any := func(*http.Request) bool { return true }
	manifest := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
	}
	for _, c := range []struct {
		name  string
		n     int
		meant func(*http.Request) bool
		with  func(http.ResponseWriter, *http.Request)
		seven bool
	}{
		{"429 at the door", 1, any, seven, true},
		{"429 to a blob", 2, sends, seven, true},
		{"503 with a date to a blob", 2, sends, dated, true},
		{"500 to anything", 4, any, failing, false},
		{"500 to a blob", 3, sends, failing, false},
		{"500 to the manifest", 3, manifest, failing, false},
		{"a drop at the manifest", 2, manifest, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.on(first(c.n, c.meant, c.with))
			img := imageOf(t, "nginx", amd64, layerOf("a", 2<<20))
			try := s.try()
			references, err := try.push(context.Background(), img)
			if err != nil {
				t.Fatal(err)
			}
			s.holds(references, img)
			if len(try.waits) < c.n || try.waited(7*time.Second) != c.seven {
				t.Errorf("the pauses were %v", try.waits)
			}
		})
	}
}

func TestPushGivesUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault fault
		want  string
	}{
		{"500 for ever", func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}, "500 Internal Server Error"},
		{"every blob breaks", func(_ http.ResponseWriter, r *http.Request) bool {
			if sends(r) {
				panic(http.ErrAbortHandler)
			}
			return false
		}, "gave up after 8 attempts"},
		{"wait an hour", func(w http.ResponseWriter, r *http.Request) bool {
			if !sends(r) {
				return false
			}
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
			return true
		}, "asks to wait 1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.on(c.fault)
			_, err := s.try().push(context.Background(), imageOf(t, "nginx", amd64, layerOf("a", 2<<20)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if report.HintOf(err) == "" {
				t.Errorf("%v says nothing of what to do", err)
			}
		})
	}
}

// ECR's tokens are basic credentials that last; other registries' are bearer tokens for minutes.
func TestPushWithATokenThatExpires(t *testing.T) {
	var mu sync.Mutex
	for _, c := range []struct {
		name   string
		status int
		text   string
	}{
		{"401", http.StatusUnauthorized, "authentication required"},
		{"403 as ECR says it", http.StatusForbidden, "Your authorization token has expired. Reauthenticate and try again."},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			valid, asked := "token1", 0
			breaks := first(1, large, func(http.ResponseWriter, *http.Request) { valid = "token2" })
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				breaks(w, r)
				if r.Header.Get("Authorization") == basicOf("AWS", valid) {
					return false
				}
				if r.URL.Path == "/v2/" {
					w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
					refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "")
					return true
				}
				refuse(w, c.status, "DENIED", c.text)
				return true
			})
			img := imageOf(t, "nginx", amd64, layerOf("a", 5<<20), layerOf("b", 4<<20), layerOf("c", 3<<20))
			try := s.try()
			try.options.Auth = func(context.Context) (string, string, error) {
				mu.Lock()
				defer mu.Unlock()
				asked++
				return "AWS", fmt.Sprintf("token%d", asked), nil
			}
			references, err := try.push(context.Background(), img)
			if err != nil {
				t.Fatal(err)
			}
			s.holds(references, img)
			if asked != 2 {
				t.Errorf("the token was fetched %d times, want twice", asked)
			}
		})
	}
	t.Run("bearer", func(t *testing.T) {
		s := serve(t)
		given := 0
		valid := func() string { return fmt.Sprintf("Bearer bearer%d", given) }
		expire := first(1, large, func(http.ResponseWriter, *http.Request) { given += 10 })
		s.on(func(w http.ResponseWriter, r *http.Request) bool {
			mu.Lock()
			defer mu.Unlock()
			if r.URL.Path == "/token" {
				if r.Header.Get("Authorization") != basicOf("me", "secret") {
					refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "")
					return true
				}
				given++
				fmt.Fprintf(w, `{"token":"bearer%d"}`, given)
				return true
			}
			expire(w, r)
			if r.Header.Get("Authorization") == valid() {
				return false
			}
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="registry"`, s.URL))
			refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "")
			return true
		})
		img := imageOf(t, "nginx", amd64, layerOf("a", 5<<20))
		try := s.try()
		try.options.Auth = func(context.Context) (string, string, error) { return "me", "secret", nil }
		try.options.Jobs = 1 // every answer of this token server makes the one before worthless
		references, err := try.push(context.Background(), img)
		if err != nil {
			t.Fatal(err)
		}
		s.holds(references, img)
		if given < 12 {
			t.Errorf("the registry gave token %d: none after the one that expired", given)
		}
	})
}

// DefaultKeychain reads the configuration of this process' user.
func TestPushWithDockersCredentials(t *testing.T) {
	s := serve(t)
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == basicOf("me", "secret") {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who is it?")
		return true
	})
	img := imageOf(t, "nginx", amd64, layerOf("a", 5000))
	host := strings.TrimPrefix(s.URL, "http://")
	for _, c := range []struct {
		name, config string
		errors       []string
		hint         string
	}{
		{"inline", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, strings.TrimPrefix(basicOf("me", "secret"), "Basic ")), nil, ""},
		{"helper", fmt.Sprintf(`{"credHelpers":{%q:"platen-test"}}`, host), nil, ""},
		{"none", `{}`, []string{"no credentials for it"}, "docker login " + host},
		{"wrong", fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, strings.TrimPrefix(basicOf("me", "guess"), "Basic ")), []string{"credentials of me"}, "docker login " + host},
		{"helper missing", fmt.Sprintf(`{"credHelpers":{%q:"platen-none"}}`, host), []string{"Docker's configuration", "docker-credential-platen-none"}, "credHelpers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			helper := "#!/bin/sh\necho '{\"Username\":\"me\",\"Secret\":\"secret\"}'\n"
			if err := errors.Join(
				os.WriteFile(filepath.Join(dir, "config.json"), []byte(c.config), 0o600),
				os.WriteFile(filepath.Join(dir, "docker-credential-platen-test"), []byte(helper), 0o700),
			); err != nil {
				t.Fatal(err)
			}
			t.Setenv("HOME", dir)
			t.Setenv("DOCKER_CONFIG", dir)
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			try := s.try()
			try.options.Auth = nil
			references, err := try.push(context.Background(), img)
			if len(c.errors) == 0 {
				if err != nil {
					t.Fatal(err)
				}
				s.holds(references, img)
				return
			}
			for _, want := range c.errors {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
			if !strings.Contains(report.HintOf(err), c.hint) {
				t.Errorf("hint %q, want %q", report.HintOf(err), c.hint)
			}
		})
	}
}

func TestPushRefused(t *testing.T) {
	post := func(r *http.Request) bool { return r.Method == http.MethodPost }
	commit := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/")
	}
	for _, c := range []struct {
		name          string
		meant         func(*http.Request) bool
		status        int
		code, message string
		want, hint    string
	}{
		{"quota", commit, http.StatusForbidden, "DENIED", "adding 5 MiB would exceed the storage quota of project team", "no room", "delete old images"},
		{"denied", post, http.StatusForbidden, "DENIED", "requested access to the resource is denied", "does not let AWS push to team/blog-nginx", "docker login"},
		{"no such repository", post, http.StatusNotFound, "NAME_UNKNOWN", "The repository with name 'team/blog-nginx' does not exist", "has no repository team/blog-nginx", "make the repository"},
		{"bad name", post, http.StatusBadRequest, "NAME_INVALID", "must be PROJECT/NAME", "does not take the name", "another prefix"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t)
			s.on(first(1000, c.meant, func(w http.ResponseWriter, _ *http.Request) { refuse(w, c.status, c.code, c.message) }))
			try := s.try()
			try.options.Auth = func(context.Context) (string, string, error) { return "AWS", "token", nil }
			login := s.fault
			s.on(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
					w.WriteHeader(http.StatusUnauthorized)
					return true
				}
				return login(w, r)
			})
			_, err := try.push(context.Background(), imageOf(t, "nginx", amd64, layerOf("a", 5000)))
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("error %v, want %q and %q", err, c.want, c.message)
			}
			if !strings.Contains(report.HintOf(err), c.hint) {
				t.Errorf("hint %q, want %q", report.HintOf(err), c.hint)
			}
			if len(try.waits) != 0 {
				t.Errorf("it waited %v for an answer that does not change", try.waits)
			}
		})
	}
}

func TestPushToAnImmutableTag(t *testing.T) {
	s := serve(t)
	old, img := imageOf(t, "nginx", amd64, layerOf("a", 5000)), imageOf(t, "nginx", amd64, layerOf("b", 5000))
	tagged := func(i image.Image) error {
		try := s.try()
		try.options.Tag = "v1"
		_, err := try.push(context.Background(), i)
		return err
	}
	if err := tagged(old); err != nil {
		t.Fatal(err)
	}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			refuse(w, http.StatusBadRequest, "TAG_INVALID", "The image tag 'v1' already exists in the 'team/blog-nginx' repository and cannot be overwritten because the tag is immutable.")
			return true
		}
		return false
	})
	if err := tagged(old); err != nil {
		t.Errorf("the same image under its tag: %v", err)
	}
	err := tagged(img)
	if err == nil || !strings.Contains(err.Error(), old.Digest) || !strings.Contains(err.Error(), img.Digest) || !strings.Contains(report.HintOf(err), "another tag") {
		t.Errorf("error %v (%s)", err, report.HintOf(err))
	}
	// Somebody else pushed the same image between our look and our push.
	s.on(first(1, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/manifests/v1") },
		func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "") }))
	between := s.fault
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/manifests/v1") {
			refuse(w, http.StatusConflict, "CONFLICT", "immutable")
			return true
		}
		return between(w, r)
	})
	if err := tagged(old); err != nil {
		t.Errorf("the same image, pushed by somebody else meanwhile: %v", err)
	}
}

// A damaged cache must neither be pushed nor be tried again and again.
func TestPushOfADamagedLayer(t *testing.T) {
	s := serve(t)
	cache, err := NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	img := imageOf(t, "nginx", amd64, cachedLayer{layerOf("a", 2<<20), cache})
	try := s.try()
	_, err = try.push(context.Background(), img)
	if err == nil || !strings.Contains(err.Error(), "cache of layers") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if len(try.waits) != 0 {
		t.Errorf("it waited %v", try.waits)
	}
}

// cachedLayer has its bytes in a cache, as built layers do.
type cachedLayer struct {
	v1.Layer
	cache *Cache
}

func (c cachedLayer) Compressed() (io.ReadCloser, error) {
	digest, err := c.Digest()
	if err != nil {
		return nil, err
	}
	return c.cache.Open(digest.String())
}

func TestPushInterrupted(t *testing.T) {
	s := serve(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.on(first(1, large, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body) // until the connection is gone
		panic(http.ErrAbortHandler)
	}))
	img := imageOf(t, "nginx", amd64, layerOf("a", 3<<20), layerOf("b", 4000))
	if _, err := s.try().push(ctx, img); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the interruption", err)
	}
	s.on(nil)
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	s.holds(references, img)
}
