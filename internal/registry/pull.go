package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	naming "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"platen/internal/image"
	"platen/internal/report"
	"platen/internal/retry"
)

// PullOptions say which image comes from where and as whom.
type PullOptions struct {
	Name      string // what the image is to the site: wordpress
	Reference string // REGISTRY/REPOSITORY@sha256:…, of an image or of an index of platforms
	Platform  string // linux/amd64
	// Auth, Transport and Wait are as for a push.
	Auth      func(ctx context.Context) (user, password string, err error)
	Transport http.RoundTripper
	Wait      func(context.Context, time.Duration) error
	// AuthOf finds the Auth of a registry by its host, when it has to be asked; nil, or an Auth that is
	// nil, is Docker's configuration.
	AuthOf func(ctx context.Context, host string) (func(context.Context) (user, password string, err error), error)
}

// manifestLimit is far above any real manifest or configuration; registries take 4 MiB.
const manifestLimit = 8 << 20

// Pull brings an image from its registry into the cache, without Docker. All that arrives is
// compared with the digest by which it was asked for; what is in the cache is not fetched again, and
// a registry is not even asked when everything is. It tells the sink under images/NAME.
func Pull(ctx context.Context, c *Cache, o PullOptions, sink report.Sink) (image.Image, error) {
	ref, err := naming.NewDigest(o.Reference)
	if err != nil {
		return image.Image{}, fmt.Errorf("pull image %s: %w", o.Name, err)
	}
	if o.Wait == nil {
		o.Wait = retry.Wait
	}
	if o.Transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.ResponseHeaderTimeout, own.MaxIdleConnsPerHost = headerTime, 2*defaultJobs
		defer own.CloseIdleConnections()
		o.Transport = own
	}
	p := &puller{PullOptions: o, cache: c, ref: ref, sink: sink, step: "images/" + o.Name, login: newLogin(ref.Context(), o.Auth)}
	img, err := p.pull(ctx)
	if err != nil {
		return img, fmt.Errorf("pull image %s: %s: %w", o.Name, o.Reference, p.login.explainPull(err))
	}
	return img, nil
}

// puller is one Pull.
type puller struct {
	PullOptions
	cache *Cache
	ref   naming.Digest
	sink  report.Sink
	step  string
	login *login

	client *http.Client // nil until the registry is asked
	by     []remote.Option
}

func (p *puller) pull(ctx context.Context) (image.Image, error) {
	digest, err := v1.NewHash(p.ref.DigestStr())
	if err != nil {
		return image.Image{}, err
	}
	text, err := p.manifest(ctx, digest)
	if err != nil {
		return image.Image{}, err
	}
	var top struct {
		v1.Manifest
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(text, &top); err != nil {
		return image.Image{}, fmt.Errorf("its manifest: %w", err)
	}
	if top.Manifests != nil {
		if digest, err = p.choose(top.Manifests); err != nil {
			return image.Image{}, err
		}
		if text, err = p.manifest(ctx, digest); err != nil {
			return image.Image{}, err
		}
		top.Manifest = v1.Manifest{}
		if err := json.Unmarshal(text, &top.Manifest); err != nil {
			return image.Image{}, fmt.Errorf("its manifest: %w", err)
		}
	}
	if !top.Config.MediaType.IsConfig() {
		return image.Image{}, fmt.Errorf("it is no image that can be run, but %s", top.Config.MediaType)
	}
	if err := p.blobs(ctx, []v1.Descriptor{top.Config}); err != nil {
		return image.Image{}, err
	}
	config, err := p.kept(top.Config.Digest)
	if err != nil {
		return image.Image{}, err
	}
	var made struct{ OS, Architecture string }
	if err := json.Unmarshal(config, &made); err != nil {
		return image.Image{}, fmt.Errorf("its configuration: %w", err)
	}
	if got := made.OS + "/" + made.Architecture; got != p.Platform {
		return image.Image{}, p.wrongPlatform(got)
	}
	if err := p.blobs(ctx, top.Layers); err != nil {
		return image.Image{}, err
	}
	return image.Adopt(p.cache, image.Manifest{Name: p.Name, Platform: p.Platform, Manifest: text, Config: config})
}

// choose finds the image of our platform in an index.
func (p *puller) choose(all []v1.Descriptor) (v1.Hash, error) {
	var there []string
	for _, d := range all {
		if d.Platform == nil || d.Platform.OS == "unknown" {
			continue // a signature, or what it was built of
		}
		name := d.Platform.OS + "/" + d.Platform.Architecture
		if name == p.Platform {
			return d.Digest, nil
		}
		there = append(there, name)
	}
	return v1.Hash{}, p.wrongPlatform(strings.Join(there, ", "))
}

func (p *puller) wrongPlatform(there string) error {
	return report.Hint(fmt.Errorf("it is for %s, and %s is needed", there, p.Platform),
		"push it for both and name the index: platen image push --platform linux/amd64,linux/arm64")
}

// kept reads a small blob of the cache.
func (p *puller) kept(digest v1.Hash) ([]byte, error) {
	in, err := p.cache.Open(digest.String())
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(in, manifestLimit))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, err
	}
	if got, _, err := v1.SHA256(strings.NewReader(string(data))); err != nil || got != digest {
		return nil, fmt.Errorf("the cache has another file as %s", digest)
	}
	return data, nil
}

// manifest returns the text of a manifest or an index.
func (p *puller) manifest(ctx context.Context, digest v1.Hash) ([]byte, error) {
	if data, err := p.kept(digest); err == nil {
		return data, nil
	}
	if err := p.connect(ctx); err != nil {
		return nil, err
	}
	found, err := remote.Get(p.ref.Digest(digest.String()), p.by...)
	if err != nil {
		return nil, err
	}
	if got, _, err := v1.SHA256(strings.NewReader(string(found.Manifest))); err != nil || got != digest {
		return nil, fmt.Errorf("the registry sent %s instead", got)
	}
	return found.Manifest, p.keep(digest, int64(len(found.Manifest)), strings.NewReader(string(found.Manifest)))
}

// connect logs in, once.
func (p *puller) connect(ctx context.Context) error {
	if p.client != nil {
		return nil
	}
	p.sink.Step(p.step, report.Running, "from "+p.ref.Context().Name())
	if p.AuthOf != nil {
		auth, err := p.AuthOf(ctx, p.ref.RegistryStr())
		if err != nil {
			return err
		}
		p.login = newLogin(p.ref.Context(), auth)
	}
	carrier := &carrier{inner: p.Transport, login: p.login, wait: p.Wait, say: func(line string) { p.sink.Log(p.step, line) }}
	authorized, err := transport.NewWithContext(ctx, p.ref.Context().Registry, p.login,
		transport.NewUserAgent(carrier, "platen"), []string{p.ref.Scope(transport.PullScope)})
	if err != nil {
		return err
	}
	p.client = &http.Client{Transport: authorized}
	p.by = []remote.Option{remote.WithContext(ctx), remote.WithTransport(authorized), remote.WithRetryBackoff(remote.Backoff{Steps: 1})}
	return nil
}

// blobs brings to the cache what it lacks, four at once.
func (p *puller) blobs(ctx context.Context, all []v1.Descriptor) error {
	var missing []v1.Descriptor
	var total int64
	for _, d := range all {
		has, err := p.cache.Has(d.Digest.String(), d.Size)
		if err != nil {
			return err
		}
		if !has {
			missing, total = append(missing, d), total+d.Size
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := p.connect(ctx); err != nil {
		return err
	}
	progress := &tally{sink: p.sink, step: p.step, total: total, at: map[v1.Hash]int64{}}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(defaultJobs)
	for _, d := range missing {
		g.Go(func() error { return p.blob(ctx, d, progress) })
	}
	return g.Wait()
}

// blob fetches one; a transfer that breaks is begun again.
func (p *puller) blob(ctx context.Context, d v1.Descriptor, progress *tally) error {
	for attempt := 1; ; attempt++ {
		err := p.once(ctx, d, progress)
		var answer *transport.Error
		var other *wrongBlob
		if err == nil || ctx.Err() != nil || attempt == attempts || errors.As(err, &answer) || errors.As(err, &other) || report.HintOf(err) != "" {
			return err
		}
		pause, _ := pauseFor(nil, attempt)
		p.sink.Log(p.step, fmt.Sprintf("%s: %v; again in %s", p.ref.RegistryStr(), err, pause.Round(100*time.Millisecond)))
		if err := p.Wait(ctx, pause); err != nil {
			return err
		}
	}
}

func (p *puller) once(ctx context.Context, d v1.Descriptor, progress *tally) (err error) {
	at := url.URL{
		Scheme: p.ref.Context().Scheme(), Host: p.ref.RegistryStr(),
		Path: "/v2/" + p.ref.Context().RepositoryStr() + "/blobs/" + d.Digest.String(),
	}
	ask, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return err
	}
	answer, err := p.client.Do(ask)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	if err := transport.CheckError(answer, http.StatusOK); err != nil {
		return err
	}
	return p.keep(d.Digest, d.Size, io.TeeReader(answer.Body, &arriving{progress, d.Digest, 0}))
}

// arriving tells the tally of a blob that comes in.
type arriving struct {
	tally  *tally
	digest v1.Hash
	n      int64
}

func (a *arriving) Write(p []byte) (int, error) {
	a.n += int64(len(p))
	a.tally.set(a.digest, a.n)
	return len(p), nil
}

// wrongBlob is content that is not what was asked for: asking again will not change it.
type wrongBlob struct{ want, got string }

func (w *wrongBlob) Error() string {
	return fmt.Sprintf("%s was asked for, and %s came", w.want, w.got)
}

// keep puts content into the cache, when it is what its digest says.
func (p *puller) keep(digest v1.Hash, size int64, content io.Reader) error {
	b, err := p.cache.Create()
	if err != nil {
		return err
	}
	sum, n, err := v1.SHA256(io.TeeReader(io.LimitReader(content, size+1), b))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && (sum != digest || n != size) {
		err = &wrongBlob{digest.String(), sum.String()}
	}
	if err != nil {
		return errors.Join(err, b.Discard())
	}
	return b.Commit(digest.String())
}

// explainPull says what a refusal means to somebody who pulls.
func (l *login) explainPull(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || report.HintOf(err) != "" {
		return err
	}
	var wrong *wrongBlob
	if errors.As(err, &wrong) {
		return report.Hint(err, "the registry, or somebody on the way, changed it: it is not used; push the image again, and name the digest that the push prints")
	}
	var answer *transport.Error
	registry, name := l.repository.RegistryStr(), l.repository.RepositoryStr()
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusNotFound:
			return report.Hint(fmt.Errorf("%s has no such image: %w", registry, summary(err)), "look at what is there, and at the digest: image push prints both")
		case http.StatusForbidden:
			return report.Hint(fmt.Errorf("%s does not let %s read %s: %w", registry, orNobody(l.user()), name, summary(err)), "log in as somebody who may: %s", loginCommand(registry))
		}
	}
	return l.explain(err)
}

func orNobody(user string) string {
	if user == "" {
		return "just anybody"
	}
	return user
}
