package source

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// files are an archive's entries as a file system: sorted, without times and owners, links shown
// as links (fs.ReadLinkFS) and never followed.
type files struct {
	nodes    map[string]node
	children map[string][]string
	open     func(p string) (io.ReadCloser, error)
}

func newFiles(nodes map[string]node, open func(string) (io.ReadCloser, error)) *files {
	f := &files{nodes: nodes, children: map[string][]string{}, open: open}
	for p := range nodes {
		dir := path.Dir(p)
		f.children[dir] = append(f.children[dir], path.Base(p))
	}
	for _, names := range f.children {
		slices.Sort(names)
	}
	return f
}

func (f *files) node(op, name string) (node, error) {
	if !fs.ValidPath(name) {
		return node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return node{kind: fs.ModeDir}, nil
	}
	n, ok := f.nodes[name]
	if !ok {
		return node{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return n, nil
}

// Open implements fs.FS for files and folders; a link is not followed.
func (f *files) Open(name string) (fs.File, error) {
	n, err := f.node("open", name)
	if err != nil {
		return nil, err
	}
	switch n.kind {
	case fs.ModeDir:
		return &folderHandle{handle: handle{info: info{path.Base(name), n}}, of: f, name: name}, nil
	case fs.ModeSymlink:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	content, err := f.open(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return &handle{content, info{path.Base(name), n}}, nil
}

// ReadDir implements fs.ReadDirFS.
func (f *files) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.node("readdir", name)
	if err != nil {
		return nil, err
	}
	if n.kind != fs.ModeDir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrInvalid}
	}
	var all []fs.DirEntry
	for _, child := range f.children[name] {
		all = append(all, fs.FileInfoToDirEntry(info{child, f.nodes[path.Join(name, child)]}))
	}
	return all, nil
}

// ReadLink implements fs.ReadLinkFS.
func (f *files) ReadLink(name string) (string, error) {
	n, err := f.node("readlink", name)
	if err != nil {
		return "", err
	}
	if n.kind != fs.ModeSymlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	return n.link, nil
}

// Lstat implements fs.ReadLinkFS.
func (f *files) Lstat(name string) (fs.FileInfo, error) {
	n, err := f.node("lstat", name)
	return info{path.Base(name), n}, err
}

type info struct {
	name string
	node node
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.node.size }
func (i info) ModTime() time.Time { return time.Time{} }
func (i info) IsDir() bool        { return i.node.kind == fs.ModeDir }
func (i info) Sys() any           { return nil }

func (i info) Mode() fs.FileMode {
	if i.node.kind == 0 {
		return 0o644
	}
	return i.node.kind | 0o755
}

type handle struct {
	io.ReadCloser
	info info
}

func (h *handle) Stat() (fs.FileInfo, error) { return h.info, nil }

type folderHandle struct {
	handle
	of   *files
	name string
	at   int
}

func (h *folderHandle) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: h.name, Err: fs.ErrInvalid}
}

func (h *folderHandle) Close() error { return nil }

// ReadDir implements fs.ReadDirFile.
func (h *folderHandle) ReadDir(n int) ([]fs.DirEntry, error) {
	all, err := h.of.ReadDir(h.name)
	if err != nil {
		return nil, err
	}
	all = all[h.at:]
	if n > 0 && len(all) == 0 {
		return nil, io.EOF
	}
	if n > 0 && len(all) > n {
		all = all[:n]
	}
	h.at += len(all)
	return all, nil
}

// below is the part of the nodes under a folder, by their paths from there.
func below(nodes map[string]node, dir string) map[string]node {
	out := map[string]node{}
	for p, n := range nodes {
		if rest, ok := strings.CutPrefix(p, dir+"/"); ok {
			out[rest] = n
		}
	}
	return out
}
