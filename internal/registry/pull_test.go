package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"platen/internal/image"
	"platen/internal/report"
)

// whole is an image that can be unpacked: a layer for each of texts, which holds the file etc/N.
func whole(t *testing.T, name, platform string, texts ...string) image.Image {
	t.Helper()
	_, arch, _ := strings.Cut(platform, "/")
	img, err := mutate.ConfigFile(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1),
		&v1.ConfigFile{OS: "linux", Architecture: arch, RootFS: v1.RootFS{Type: "layers"}, Config: v1.Config{Entrypoint: []string{"/" + name}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		out := tar.NewWriter(zip)
		err := out.WriteHeader(&tar.Header{Name: fmt.Sprintf("etc/%d", i), Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))})
		if err == nil {
			_, err = io.WriteString(out, text)
		}
		if err = errors.Join(err, out.Close(), zip.Close()); err != nil {
			t.Fatal(err)
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.Append(img, mutate.Addendum{Layer: layer, History: v1.History{CreatedBy: fmt.Sprintf("platen: part%d", i)}}); err != nil {
			t.Fatal(err)
		}
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return image.Image{Name: name, Platform: platform, OCI: img, Digest: digest.String()}
}

func newPullCache(t *testing.T) *Cache {
	t.Helper()
	c, err := NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// pull asks for an image without ever waiting.
func (s *server) pull(c *Cache, reference, platform string) (image.Image, error) {
	return Pull(context.Background(), c, PullOptions{
		Name: "nginx", Reference: reference, Platform: platform,
		Auth: func(context.Context) (string, string, error) { return "", "", nil },
		Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() },
	}, nil)
}

func TestPull(t *testing.T) {
	s, c := serve(t), newPullCache(t)
	img := whole(t, "nginx", amd64, "one", strings.Repeat("two", 5000))
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.pull(c, references["nginx"], amd64)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != img.Digest || got.Platform != amd64 || len(got.Layers) != 2 || got.Layers[1].Name != "part1" || !got.Adopted() {
		t.Errorf("pulled %+v", got)
	}
	if files, _ := got.Files(); files != 2 {
		t.Errorf("it holds %d files", files)
	}
	if digest, err := got.OCI.Digest(); err != nil || digest.String() != img.Digest {
		t.Errorf("the image is %s (%v)", digest, err)
	}
	layers, err := got.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		plain, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, plain); err != nil {
			t.Error(err)
		}
		if err := plain.Close(); err != nil {
			t.Error(err)
		}
	}

	// Once it is here, nobody is asked; and it can be brought on to another registry, as it is.
	s.on(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return true
	})
	if again, err := s.pull(c, references["nginx"], amd64); err != nil || again.Digest != got.Digest || len(s.requests) > 0 {
		t.Errorf("again: %v, %d requests", err, len(s.requests))
	}
	other := serve(t)
	try := other.try()
	try.options.Attach = image.Image.Attachment
	on, err := try.push(context.Background(), got)
	if err != nil {
		t.Fatal(err)
	}
	other.holds(on, img)
}

func TestPullTakesItsPlatformOfAnIndex(t *testing.T) {
	s := serve(t)
	images := []image.Image{whole(t, "nginx", amd64, "amd"), whole(t, "nginx", arm64, "arm")}
	references, err := s.try().push(context.Background(), images...)
	if err != nil {
		t.Fatal(err)
	}
	for _, img := range images {
		got, err := s.pull(newPullCache(t), references["nginx"], img.Platform)
		if err != nil || got.Digest != img.Digest {
			t.Errorf("%s: %s, %v; want %s", img.Platform, got.Digest, err, img.Digest)
		}
	}
}

func TestPullRefused(t *testing.T) {
	s := serve(t)
	img := whole(t, "nginx", amd64, strings.Repeat("one", 3000))
	both := []image.Image{whole(t, "jobs", amd64, "amd"), whole(t, "jobs", arm64, "arm")}
	references, err := s.try().push(context.Background(), append(both, img)...)
	if err != nil {
		t.Fatal(err)
	}
	layer := "/blobs/" + digestOfLayer(t, img)
	swap := func(part, text string) fault {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, part) {
				return false
			}
			answer := httptest.NewRecorder()
			s.pass(answer, r)
			w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
			_, _ = io.WriteString(w, text+answer.Body.String()[len(text):])
			return true
		}
	}
	nothing := s.repository("nginx") + "@sha256:" + strings.Repeat("ab", 32)
	for name, c := range map[string]struct {
		reference, platform string
		fault               fault
		want, hint          string
	}{
		"missing":                   {nothing, amd64, nil, "has no such image", "image push"},
		"another platform":          {references["nginx"], arm64, nil, "it is for linux/amd64, and linux/arm64 is needed", "--platform"},
		"another platform in index": {references["jobs"], "linux/riscv64", nil, "linux/amd64, linux/arm64, and linux/riscv64", "--platform"},
		"another manifest":          {references["nginx"], amd64, swap("/manifests/"+img.Digest, `{"x":`), img.Digest, ""},
		"another layer":             {references["nginx"], amd64, swap(layer, "XXXX"), "was asked for, and sha256:", "not used"},
		"forbidden": {references["nginx"], amd64, func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path == "/v2/" {
				return false
			}
			refuse(w, http.StatusForbidden, "DENIED", "not you")
			return true
		}, "does not let just anybody read", "docker login"},
		"never comes": {references["nginx"], amd64, func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, layer) {
				panic(http.ErrAbortHandler)
			}
			return false
		}, "EOF", "run it again"},
	} {
		t.Run(name, func(t *testing.T) {
			s.on(c.fault)
			_, err := s.pull(newPullCache(t), c.reference, c.platform)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(report.HintOf(err), c.hint) {
				t.Errorf("error %v (%s), want %q (%q)", err, report.HintOf(err), c.want, c.hint)
			}
		})
	}
}

func digestOfLayer(t *testing.T, img image.Image) string {
	t.Helper()
	layers, err := img.OCI.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[0].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestPullGoesOnAfterABreak(t *testing.T) {
	s := serve(t)
	img := whole(t, "nginx", amd64, strings.Repeat("one", 3000), "two")
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	s.on(first(2, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/blobs/"+digestOfLayer(t, img)) },
		func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "not all of it")
			panic(http.ErrAbortHandler)
		}))
	if got, err := s.pull(newPullCache(t), references["nginx"], amd64); err != nil || got.Digest != img.Digest {
		t.Errorf("pulled %s, %v", got.Digest, err)
	}
}

func TestPullWithDockersCredentials(t *testing.T) {
	s := serve(t)
	img := whole(t, "nginx", amd64, "one")
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == basicOf("me", "secret") {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "who is it?")
		return true
	})
	host := strings.TrimPrefix(s.URL, "http://")
	for name, c := range map[string]struct{ password, want, hint string }{
		"good": {"secret", "", ""}, "wrong": {"guess", "credentials of me", "docker login " + host}, "none": {"", "no credentials for it", "docker login " + host},
	} {
		t.Run(name, func(t *testing.T) {
			config := "{}"
			if c.password != "" {
				config = fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, strings.TrimPrefix(basicOf("me", c.password), "Basic "))
			}
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("HOME", dir)
			t.Setenv("DOCKER_CONFIG", dir)
			_, err := Pull(context.Background(), newPullCache(t), PullOptions{Name: "nginx", Reference: references["nginx"], Platform: amd64}, nil)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(report.HintOf(err), c.hint)) {
				t.Errorf("error %v (%s), want %q", err, report.HintOf(err), c.want)
			}
		})
	}
}

// ECR's token costs a request, and looking for credentials costs more: only who asks the registry does.
func TestPullFindsCredentialsWhenItAsks(t *testing.T) {
	s, c := serve(t), newPullCache(t)
	img := whole(t, "nginx", amd64, "one")
	references, err := s.try().push(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	s.on(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == basicOf("AWS", "token") {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		refuse(w, http.StatusUnauthorized, "UNAUTHORIZED", "")
		return true
	})
	var asked []string
	for range 2 {
		_, err := Pull(context.Background(), c, PullOptions{
			Name: "nginx", Reference: references["nginx"], Platform: amd64,
			AuthOf: func(_ context.Context, host string) (func(context.Context) (string, string, error), error) {
				asked = append(asked, host)
				return func(context.Context) (string, string, error) { return "AWS", "token", nil }, nil
			},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := strings.TrimPrefix(s.URL, "http://"); len(asked) != 1 || asked[0] != want {
		t.Errorf("credentials were looked for at %v, want once at %s", asked, want)
	}
}
