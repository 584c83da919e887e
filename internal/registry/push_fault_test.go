package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"platen/internal/image"
	"platen/internal/report"
)

// fault answers a request instead of the registry, or not (false).
type fault func(w http.ResponseWriter, r *http.Request) bool

// server is a registry with a fault in front of it, and what it was asked.
type server struct {
	*httptest.Server
	t     *testing.T
	inner http.Handler
	blobs *blobStore
	keeps string // of an upload that broke: bytes (all that arrived), requests (the whole ones), nothing

	mu       sync.Mutex
	fault    fault
	requests []string         // METHOD path
	bodies   map[string]int64 // bytes of blobs by METHOD
	uploads  map[string]int64 // what an open upload has
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, blobs: &blobStore{blobs: map[string][]byte{}}, bodies: map[string]int64{}, uploads: map[string]int64{}, keeps: "bytes"}
	s.inner = ggcr.New(ggcr.WithBlobHandler(s.blobs), ggcr.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewUnstartedServer(s)
	// The library tries TLS first even on localhost; the server would complain to standard error.
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// on sets the fault of all requests from now on, and forgets those until now.
func (s *server) on(f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.requests, s.bodies = f, nil, map[string]int64{}
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	f := s.fault
	s.mu.Unlock()
	if f != nil && f(w, r) {
		return
	}
	s.pass(w, r)
}

// pass lets the registry answer, and adds what ggcr's registry cannot do: mounts, and the state of an
// upload.
func (s *server) pass(w http.ResponseWriter, r *http.Request) {
	uploads := strings.Contains(r.URL.Path, "/blobs/uploads/")
	if from := r.URL.Query().Get("from"); uploads && from != "" && s.blobs.copy(from, repositoryOf(r), r.URL.Query().Get("mount")) {
		w.WriteHeader(http.StatusCreated)
		return
	}
	if uploads && r.Method == http.MethodGet {
		s.mu.Lock()
		n := s.uploads[path.Base(r.URL.Path)]
		s.mu.Unlock()
		if s.keeps == "nothing" {
			http.Error(w, `{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN"}]}`, http.StatusNotFound)
			return
		}
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(n-1, 0)))
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if uploads {
		counted := &countedBody{ReadCloser: r.Body}
		r.Body = counted
		defer func() {
			s.mu.Lock()
			s.bodies[r.Method] += counted.n
			if r.Method == http.MethodPatch {
				s.uploads[path.Base(r.URL.Path)] += counted.n
			}
			s.mu.Unlock()
		}()
	}
	s.inner.ServeHTTP(w, r)
}

type countedBody struct {
	io.ReadCloser
	n int64
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// cut breaks the connection after n bytes of the body have reached the registry.
func (s *server) cut(w http.ResponseWriter, r *http.Request, n int64) {
	body := r.Body
	if s.keeps == "bytes" {
		r.Body = io.NopCloser(io.LimitReader(body, n))
		s.pass(httptest.NewRecorder(), r)
	} else {
		lost, _ := io.CopyN(io.Discard, body, n)
		s.mu.Lock()
		s.bodies[r.Method] += lost
		s.mu.Unlock()
	}
	panic(http.ErrAbortHandler)
}

// count is how many requests had this method and this in their path.
func (s *server) count(method, part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.HasPrefix(r, method+" ") && strings.Contains(r, part) {
			n++
		}
	}
	return n
}

// received is how many bytes of blobs arrived, kept or not.
func (s *server) received() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies[http.MethodPatch] + s.bodies[http.MethodPut]
}

func (s *server) repository(image string) string {
	return strings.TrimPrefix(s.URL, "http://") + "/team/blog-" + image
}

// repositoryOf is the NAME of /v2/NAME/blobs/….
func repositoryOf(r *http.Request) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/blobs/")
	return name
}

// blobStore keeps blobs by repository, as registries with rights do: ggcr's own mixes them.
type blobStore struct {
	mu    sync.Mutex
	blobs map[string][]byte
}

func (b *blobStore) key(repo string, h v1.Hash) string {
	return strings.TrimSuffix(repo, "/blobs") + "@" + h.String()
}

func (b *blobStore) Stat(_ context.Context, repo string, h v1.Hash) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.blobs[b.key(repo, h)]
	if !ok {
		return 0, ggcr.ErrNotFound
	}
	return int64(len(data)), nil
}

func (b *blobStore) Get(_ context.Context, repo string, h v1.Hash) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.blobs[b.key(repo, h)]
	if !ok {
		return nil, ggcr.ErrNotFound
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func (b *blobStore) Put(_ context.Context, repo string, h v1.Hash, content io.ReadCloser) error {
	data, err := io.ReadAll(content)
	if err = errors.Join(err, content.Close()); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blobs[b.key(repo, h)] = data
	return nil
}

func (b *blobStore) copy(from, to, digest string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, ok := b.blobs[from+"@"+digest]
	if ok {
		b.blobs[to+"@"+digest] = data
	}
	return ok
}

// layerOf is a layer whose bytes follow from the seed; it counts as compressed.
func layerOf(seed string, size int) v1.Layer {
	data := make([]byte, 0, size+sha256.Size)
	for sum := sha256.Sum256([]byte(seed)); len(data) < size; sum = sha256.Sum256(sum[:]) {
		data = append(data, sum[:]...)
	}
	return static.NewLayer(data[:size], types.OCILayer)
}

func imageOf(t *testing.T, name, platform string, layers ...v1.Layer) image.Image {
	t.Helper()
	_, arch, _ := strings.Cut(platform, "/")
	base, err := mutate.ConfigFile(mutate.MediaType(mutate.ConfigMediaType(empty.Image, types.OCIConfigJSON), types.OCIManifestSchema1),
		&v1.ConfigFile{OS: "linux", Architecture: arch, Author: name, RootFS: v1.RootFS{Type: "layers"}})
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return image.Image{Name: name, Platform: platform, OCI: img, Digest: digest.String()}
}

// sizeOf is what all blobs of images weigh, each once.
func sizeOf(t *testing.T, images ...image.Image) int64 {
	t.Helper()
	var all []v1.Image
	for _, img := range images {
		all = append(all, img.OCI)
	}
	blobs, err := blobsOf(all)
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	for _, b := range blobs {
		n += b.size
	}
	return n
}

// try is one Push in a test: it never waits, and remembers for how long it would have.
type try struct {
	options PushOptions
	mu      sync.Mutex
	waits   []time.Duration
	events  []report.Event
}

func (s *server) try() *try {
	t := &try{}
	t.options = PushOptions{
		Repository: s.repository,
		Auth:       func(context.Context) (string, string, error) { return "", "", nil },
		Wait: func(ctx context.Context, d time.Duration) error {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.waits = append(t.waits, d)
			return ctx.Err()
		},
	}
	return t
}

func (t *try) push(ctx context.Context, images ...image.Image) (map[string]string, error) {
	return Push(ctx, t.options, images, func(e report.Event) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.events = append(t.events, e)
	})
}

func (t *try) waited(d time.Duration) bool { return slices.Contains(t.waits, d) }

// holds fails the test unless the registry has the images whole, under the reference.
func (s *server) holds(references map[string]string, images ...image.Image) {
	s.t.Helper()
	for _, img := range images {
		ref := references[img.Name]
		repo, digest, ok := strings.Cut(ref, "@")
		if !ok || repo != s.repository(img.Name) {
			s.t.Fatalf("reference %q of %s is not by digest in %s", ref, img.Name, s.repository(img.Name))
		}
		for _, d := range []string{digest, img.Digest} {
			answer := httptest.NewRecorder()
			s.inner.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/v2/team/blog-"+img.Name+"/manifests/"+d, nil))
			if got, _, err := v1.SHA256(answer.Body); err != nil || answer.Code != http.StatusOK || got.String() != d {
				s.t.Errorf("manifest %s of %s: %d, digest %s, %v", d, img.Name, answer.Code, got, err)
			}
		}
		blobs, err := blobsOf([]v1.Image{img.OCI})
		if err != nil {
			s.t.Fatal(err)
		}
		for _, b := range blobs {
			data := s.blobs.blobs["team/blog-"+img.Name+"@"+b.digest.String()]
			if got, _, err := v1.SHA256(bytes.NewReader(data)); err != nil || got != b.digest {
				s.t.Errorf("blob %s of %s: the registry has %d bytes of digest %s, %v", b.digest, img.Name, len(data), got, err)
			}
		}
	}
}

// refuse answers as registries do.
func refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, message)
}

// first lets a fault happen to the first n of the requests that it is meant for.
func first(n int, meant func(*http.Request) bool, f func(w http.ResponseWriter, r *http.Request)) fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !meant(r) {
			return false
		}
		mu.Lock()
		n--
		now := n >= 0
		mu.Unlock()
		if now {
			f(w, r)
		}
		return now
	}
}

// sends is a request with bytes of a blob.
func sends(r *http.Request) bool {
	return strings.Contains(r.URL.Path, "/blobs/uploads/") && r.ContentLength > 0
}

// large is one with more than a configuration.
func large(r *http.Request) bool { return sends(r) && r.ContentLength > 1<<20 }

func basicOf(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}
