package source

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"platen/internal/report"
)

// ReadZip looks through a plugin's or theme's zip, without unpacking it. It returns the name of the
// one folder that the zip holds and what is in it. Contents are checked against their CRC and size
// as they are read. What a Mac adds (__MACOSX, .DS_Store) is passed over.
func ReadZip(r io.ReaderAt, size int64, limits Limits) (name string, content fs.FS, err error) {
	if err := weighZip(r, size, limits); err != nil {
		return "", nil, err
	}
	in, err := zip.NewReader(r, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // names are ours to judge
		return "", nil, fmt.Errorf("it is no sound zip: %w", err)
	}
	list := newListing(limits)
	found := map[string]*zip.File{}
	for _, f := range in.File {
		p, err := addZipped(list, f)
		if err != nil {
			return "", nil, err
		}
		if p != "" {
			found[p] = f
		}
	}
	if err := list.dense(list.total, size); err != nil {
		return "", nil, err
	}
	if name, err = top(list.nodes); err != nil {
		return "", nil, err
	}
	return name, newFiles(below(list.nodes, name), func(p string) (io.ReadCloser, error) {
		return found[name+"/"+p].Open()
	}), nil
}

// weighZip looks at the end of a zip: archive/zip reads the whole table of contents into memory,
// and takes the table's own word neither for its length nor for the number of its entries.
func weighZip(r io.ReaderAt, size int64, limits Limits) error {
	if size > limits.Packed {
		return fmt.Errorf("%d bytes: at most %d are taken", size, limits.Packed)
	}
	const fixed, comment = 22, 1<<16 - 1
	tail := make([]byte, min(size, fixed+comment))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	for i := len(tail) - fixed; i >= 0; i-- {
		end := tail[i:]
		if !bytes.HasPrefix(end, []byte("PK\x05\x06")) || int(binary.LittleEndian.Uint16(end[20:])) != len(end)-fixed {
			continue
		}
		length, offset := int64(binary.LittleEndian.Uint32(end[12:])), int64(binary.LittleEndian.Uint32(end[16:]))
		here := size - int64(len(end))
		switch {
		case length == 1<<32-1 || offset == 1<<32-1 || binary.LittleEndian.Uint16(end[10:]) == 1<<16-1:
			return errors.New("it is a zip64: no plugin or theme is that large")
		case offset+length != here:
			return errors.New("it is no sound zip: something stands before it, or between its files and its end")
		case length > directory:
			return fmt.Errorf("its table of contents has %d bytes: at most %d are taken", length, directory)
		}
		return nil
	}
	return errors.New("it is no zip, or it is cut off")
}

func addZipped(list *listing, f *zip.File) (string, error) {
	if strings.HasPrefix(f.Name, "__MACOSX/") || path.Base(f.Name) == ".DS_Store" {
		return "", nil
	}
	mode, link := f.Mode(), ""
	switch {
	case f.Flags&1 != 0:
		return "", fmt.Errorf("%s: is encrypted", quote(f.Name))
	case f.Method != zip.Store && f.Method != zip.Deflate:
		return "", fmt.Errorf("%s: is packed in a way (method %d) that is not read: pack it with deflate", quote(f.Name), f.Method)
	case f.UncompressedSize64 > uint64(list.limits.File):
		return "", fmt.Errorf("%s: %d bytes: at most %d are taken of one file", quote(f.Name), f.UncompressedSize64, list.limits.File)
	case strings.HasSuffix(f.Name, "/"):
		mode = mode&^fs.ModeType | fs.ModeDir
	case mode.IsDir():
		return "", fmt.Errorf("%s: a folder whose name does not end in /", quote(f.Name))
	case mode.Type() == fs.ModeSymlink:
		target, err := readSmall(f)
		if err != nil {
			return "", fmt.Errorf("%s: %w", quote(f.Name), err)
		}
		link = string(target)
	}
	return list.add(f.Name, mode, link, int64(f.UncompressedSize64))
}

func readSmall(f *zip.File) (_ []byte, err error) {
	in, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	data, err := io.ReadAll(io.LimitReader(in, 4096))
	if err == nil && len(data) == 4096 {
		err = errors.New("a link without a sound target")
	}
	return data, err
}

// top is the one folder at the top of an archive.
func top(nodes map[string]node) (string, error) {
	name := ""
	for p, n := range nodes {
		if strings.Contains(p, "/") {
			continue
		}
		if n.kind != fs.ModeDir || name != "" {
			return "", report.Hint(errors.New("it must hold one folder, which names the plugin or theme, and everything in it"),
				"put its files into a folder and zip that folder")
		}
		name = p
	}
	if name == "" {
		return "", errors.New("it is empty")
	}
	return name, nil
}
