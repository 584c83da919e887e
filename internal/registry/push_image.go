package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"

	naming "github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"platen/internal/report"
)

// pusher is one Push.
type pusher struct {
	options      PushOptions
	sink         report.Sink
	slots        chan struct{} // one for every transfer at once
	repositories []naming.Repository

	mu      sync.Mutex
	sources map[string]*source // by registry and digest
}

// repository is a logged-in conversation with one repository.
type repository struct {
	naming.Repository
	client *http.Client
	by     []remote.Option
	login  *login
}

// source is where a blob of this push is, or will be once ready is closed.
type source struct {
	ready chan struct{}
	from  string // the repository; "" = it did not get there
}

// push sends one artifact. It returns the bytes that were sent of blobs, −1 when even the tag was
// as it should be.
func (p *pusher) push(ctx context.Context, a *artifact, step string) (int64, error) {
	l := newLogin(a.repository, p.options.Auth)
	sent, err := p.pushAs(ctx, l, a, step)
	return sent, l.explain(err)
}

func (p *pusher) pushAs(ctx context.Context, l *login, a *artifact, step string) (int64, error) {
	r, err := p.connect(ctx, l, a.repository, step)
	if err != nil {
		return 0, err
	}
	tag := a.repository.Tag(a.tag)
	if got, err := r.named(ctx, tag); err != nil {
		return -1, err
	} else if got == a.digest {
		if p.attach(ctx, r, a, step) { // which an earlier push may not have brought to its end
			return 0, ctx.Err()
		}
		return -1, ctx.Err()
	}
	var sent int64
	if got, err := r.named(ctx, a.repository.Digest(a.digest.String())); err != nil {
		return 0, err
	} else if got != a.digest {
		if sent, err = p.contents(ctx, r, a, step); err != nil {
			return sent, err
		}
	}
	// Before the tag, so that who finds the image finds what belongs to it.
	p.attach(ctx, r, a, step)
	err = remote.Put(tag, a.top, r.options(ctx)...)
	if err != nil && tagIsTaken(err) {
		// Somebody may have pushed the same meanwhile; then there is nothing to complain about.
		got, lookErr := r.named(ctx, tag)
		if lookErr == nil && got == a.digest {
			return sent, nil
		}
		if lookErr == nil && got != (v1.Hash{}) {
			return sent, report.Hint(fmt.Errorf("the tag %s is immutable there and names %s; this image is %s: %w", a.tag, got, a.digest, summary(err)),
				"push under another tag with --tag, or without one: then the tag is made of the digest")
		}
	}
	return sent, err
}

// connect finds out how the registry wants to be asked, and logs in.
func (p *pusher) connect(ctx context.Context, l *login, repo naming.Repository, step string) (*repository, error) {
	carrier := &carrier{inner: p.options.Transport, login: l, wait: p.options.Wait, say: func(line string) { p.sink.Log(step, line) }}
	// To mount a blob from a repository is to read there. Its own scope is the first: some registries
	// look at no other.
	scopes := []string{repo.Scope(transport.PushScope)}
	for _, other := range p.repositories {
		if other.Registry == repo.Registry && other != repo {
			scopes = append(scopes, other.Scope(transport.PullScope))
		}
	}
	authorized, err := transport.NewWithContext(ctx, repo.Registry, l, transport.NewUserAgent(carrier, "platen"), scopes)
	if err != nil {
		return nil, err
	}
	return &repository{
		Repository: repo, login: l,
		client: &http.Client{Transport: authorized},
		by: []remote.Option{
			remote.WithTransport(authorized),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}), // the carrier is the one that tries again
		},
	}, nil
}

func (r *repository) options(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, r.by...)
}

// named is what a reference names there; the zero digest when nothing does.
func (r *repository) named(ctx context.Context, ref naming.Reference) (v1.Hash, error) {
	found, err := remote.Head(ref, r.options(ctx)...)
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return v1.Hash{}, nil
	}
	if err != nil {
		return v1.Hash{}, err
	}
	return found.Digest, nil
}

// contents sends what the artifact consists of: blobs, and the manifests below an index.
func (p *pusher) contents(ctx context.Context, r *repository, a *artifact, step string) (int64, error) {
	blobs, err := blobsOf(a.images)
	if err != nil {
		return 0, err
	}
	missing, err := p.missing(ctx, r, blobs)
	if err != nil {
		return 0, err
	}
	m := &tally{sink: p.sink, step: step, at: map[v1.Hash]int64{}}
	for _, b := range missing {
		m.total += b.size
	}
	g, ctx2 := errgroup.WithContext(ctx)
	for _, b := range missing {
		g.Go(func() error { return p.bring(ctx2, r, b, m) })
	}
	if err := g.Wait(); err != nil {
		return m.sent, err
	}
	if len(a.images) == 1 && len(a.attached) == 0 {
		return m.sent, nil // the tag brings the only manifest
	}
	for _, img := range a.images {
		if err := r.put(ctx, img); err != nil {
			return m.sent, err
		}
	}
	return m.sent, nil
}

// attach sends what belongs to the images without being part of them, and reports whether anything
// was lacking and is there now. An image runs without its bill of materials, so a registry that takes
// none is told of, and no more.
func (p *pusher) attach(ctx context.Context, r *repository, a *artifact, step string) (sent bool) {
	for _, attached := range a.attached {
		done, err := p.attachOne(ctx, r, attached, step)
		if err != nil && ctx.Err() == nil {
			p.sink.Log(step, "the registry does not take the bill of materials: "+summary(err).Error())
		}
		sent = sent || done
	}
	return sent
}

func (p *pusher) attachOne(ctx context.Context, r *repository, attached v1.Image, step string) (sent bool, err error) {
	digest, err := attached.Digest()
	if err != nil {
		return false, err
	}
	there, err := r.named(ctx, r.Digest(digest.String()))
	if err != nil {
		return false, err
	}
	if there == digest {
		// Its manifest alone is found by nobody: the image must name it, too, and that is a request
		// of its own to a registry that keeps no such lists.
		listed, err := r.lists(ctx, attached, digest)
		if err != nil || listed {
			return false, err
		}
		err = r.put(ctx, attached)
		return err == nil, err
	}
	blobs, err := blobsOf([]v1.Image{attached})
	if err != nil {
		return false, err
	}
	for _, b := range blobs {
		if has, err := r.has(ctx, b.digest); err != nil {
			return false, err
		} else if has {
			continue
		}
		// Nobody waits for its bytes: they are few, and not counted.
		if err := p.bring(ctx, r, b, &tally{step: step, at: map[v1.Hash]int64{}, total: -1}); err != nil {
			return false, err
		}
	}
	err = r.put(ctx, attached)
	return err == nil, err
}

// lists reports whether an artifact is listed with its subject: by the registry itself, or under the
// tag that stands in for that. What has no subject is listed nowhere, and whole as it is.
func (r *repository) lists(ctx context.Context, attached v1.Image, digest v1.Hash) (bool, error) {
	m, err := attached.Manifest()
	if err != nil || m.Subject == nil {
		return err == nil, err
	}
	index, err := remote.Referrers(r.Digest(m.Subject.Digest.String()), r.options(ctx)...)
	if err != nil {
		return false, err
	}
	all, err := index.IndexManifest()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all.Manifests, func(d v1.Descriptor) bool { return d.Digest == digest }), nil
}

// put puts a manifest under its digest.
func (r *repository) put(ctx context.Context, img v1.Image) error {
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	return remote.Put(r.Digest(digest.String()), img, r.options(ctx)...)
}

// content is a blob: a layer or a configuration.
type content struct {
	v1.Layer
	digest v1.Hash
	size   int64
}

// blobsOf lists what images consist of, each blob once.
func blobsOf(images []v1.Image) ([]content, error) {
	var blobs []content
	seen := map[v1.Hash]bool{}
	for _, img := range images {
		layers, err := img.Layers()
		if err != nil {
			return nil, err
		}
		config, err := partial.ConfigLayer(img)
		if err != nil {
			return nil, err
		}
		for _, l := range append(layers, config) {
			digest, err := l.Digest()
			if err != nil {
				return nil, err
			}
			size, err := l.Size()
			if err != nil {
				return nil, err
			}
			if !seen[digest] {
				seen[digest] = true
				blobs = append(blobs, content{l, digest, size})
			}
		}
	}
	return blobs, nil
}

// missing asks which blobs the repository lacks.
func (p *pusher) missing(ctx context.Context, r *repository, blobs []content) ([]content, error) {
	lacks := make([]bool, len(blobs))
	g, ctx := errgroup.WithContext(ctx)
	for i, b := range blobs {
		g.Go(func() error {
			free, err := p.slot(ctx)
			if err != nil {
				return err
			}
			defer free()
			has, err := r.has(ctx, b.digest)
			lacks[i] = !has
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var missing []content
	for i, b := range blobs {
		if lacks[i] {
			missing = append(missing, b)
		} else {
			p.offer(r, b)
		}
	}
	return missing, nil
}

// bring gets a blob into a repository: from another one of the registry that has it, or will have it
// in a moment, else by sending it.
func (p *pusher) bring(ctx context.Context, r *repository, b content, m *tally) error {
	at, mine := p.claim(r, b)
	from := ""
	if !mine {
		select {
		case <-at.ready:
			from = at.from
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	free, err := p.slot(ctx)
	if err == nil {
		u := &upload{repository: r, content: b, from: from, piece: p.options.Chunk, wait: p.options.Wait, tally: m, say: func(line string) { p.sink.Log(m.step, line) }}
		err = u.run(ctx)
		free()
	}
	if mine {
		if err == nil {
			at.from = r.RepositoryStr()
		}
		close(at.ready)
	}
	if err != nil {
		return fmt.Errorf("blob %s: %w", b.digest, err)
	}
	return nil
}

// slot waits for its turn to transfer.
func (p *pusher) slot(ctx context.Context) (free func(), err error) {
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// claim makes the caller the one who sends a blob to its registry, unless another repository did.
func (p *pusher) claim(r *repository, b content) (at *source, mine bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := r.RegistryStr() + " " + b.digest.String()
	if at := p.sources[key]; at != nil {
		return at, false
	}
	at = &source{ready: make(chan struct{})}
	p.sources[key] = at
	return at, true
}

// offer tells the other repositories where a blob is.
func (p *pusher) offer(r *repository, b content) {
	if at, mine := p.claim(r, b); mine {
		at.from = r.RepositoryStr()
		close(at.ready)
	}
}

// tally adds up how far the blobs of one artifact are.
type tally struct {
	sink  report.Sink
	step  string
	total int64

	mu        sync.Mutex
	at        map[v1.Hash]int64
	now, said int64
	sent      int64 // of blobs that were not mounted
}

// set says how far a blob is; an upload that starts again goes back.
func (m *tally) set(digest v1.Hash, at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now += at - m.at[digest]
	m.at[digest] = at
	if ahead := m.now - m.said; ahead >= 1<<20 || ahead <= -1<<20 || m.now == m.total {
		m.said = m.now
		m.sink.Progress(m.step, m.now, m.total)
	}
}

func (m *tally) add(sent int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent += sent
}
