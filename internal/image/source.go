package image

import "io"

// Source opens packages that were verified and are at hand.
type Source interface {
	// Open returns the package's data.tar, uncompressed.
	Open(Package) (io.ReadCloser, error)
}

// Blobs keeps layers by their digest and notes by a key, over builds. It is safe for concurrent
// use, also by several processes.
type Blobs interface {
	// Note returns what was noted under a key; ok is false when nothing was.
	Note(key string) (data []byte, ok bool, err error)
	// SetNote notes data under a key, replacing what was there.
	SetNote(key string, data []byte) error
	// Has reports whether the blob is there whole; a damaged one is not there.
	Has(digest string, size int64) (bool, error)
	// Open returns a blob's content.
	Open(digest string) (io.ReadCloser, error)
	// Create begins a blob. Nothing is seen of it before Commit.
	Create() (Blob, error)
	// Scratch returns room for one build, given back by Close.
	Scratch() (Scratch, error)
}

// Blob is one being written.
type Blob interface {
	io.Writer
	// Commit makes the blob known under its digest, sha256:…
	Commit(digest string) error
	// Discard forgets it; after Commit it does nothing.
	Discard() error
}

// Scratch is room for files that are being sorted into layers.
type Scratch interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Core is a WordPress that is not Debian's, as a package of it would be. Open returns its data.tar.
type Core struct {
	Package
	Open    func() (io.ReadCloser, error)
	Ignored []string // what is there and goes into no image, for a person to know
}
