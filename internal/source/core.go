package source

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"time"

	"platen/internal/report"
)

// root is where WordPress is in the images, as Debian's package has it.
const root = "usr/share/wordpress/"

const versionFile = "wp-includes/version.php"

var versionLine = regexp.MustCompile(`(?m)^\s*\$wp_version\s*=\s*'([0-9A-Za-z.+-]{1,40})'`)

// notice stands in for a licence that a tree does not carry: every image keeps one a package.
const notice = "This image holds WordPress, which is free software under the GNU General Public License,\nversion 2 or (at your option) any later version.\n"

// coreWriter writes a tree of WordPress as the data.tar that a Debian package of it would hold, so
// that the recipes of the images need not know where WordPress comes from.
type coreWriter struct {
	out     *tar.Writer
	seen    map[string]bool
	version string
}

func newCoreWriter(w io.Writer) *coreWriter {
	return &coreWriter{out: tar.NewWriter(w), seen: map[string]bool{}}
}

// unused are parts of wp-content that an image takes from nowhere but Platen, or not at all.
func unused(p string) bool {
	rest, content := strings.CutPrefix(p, "wp-content/")
	if !content || rest == "index.php" {
		return false
	}
	top, _, _ := strings.Cut(rest, "/")
	return top != "plugins" && top != "themes" && top != "languages"
}

// add writes an entry; p is below WordPress' root.
func (c *coreWriter) add(e Entry, content io.Reader) error {
	if e.Kind == fs.ModeDir || unused(e.Path) {
		return nil
	}
	c.seen[e.Path] = true
	if e.Kind == fs.ModeSymlink {
		return c.out.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: root + e.Path, Linkname: e.Link, ModTime: released})
	}
	var kept bytes.Buffer
	if e.Path == versionFile || e.Path == "license.txt" {
		if e.Size > 1<<20 {
			return fmt.Errorf("%s: %d bytes", e.Path, e.Size)
		}
		content = io.TeeReader(content, &kept)
	}
	if err := c.file(root+e.Path, e.Size, content); err != nil {
		return err
	}
	switch e.Path {
	case versionFile:
		if found := versionLine.FindSubmatch(kept.Bytes()); found != nil {
			c.version = string(found[1])
		}
	case "license.txt":
		return c.copyright(kept.String())
	}
	return nil
}

// released is the time of files whose own says when somebody unpacked them: the packages' rule.
var released = time.Unix(946684800, 0).UTC()

func (c *coreWriter) file(name string, size int64, content io.Reader) error {
	if err := c.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: released}); err != nil {
		return err
	}
	n, err := io.Copy(c.out, content)
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%s: %d bytes instead of %d", name, n, size)
	}
	return nil
}

func (c *coreWriter) copyright(text string) error {
	return c.file("usr/share/doc/wordpress/copyright", int64(len(text)), strings.NewReader(text))
}

// close checks that it was WordPress, of the version that was asked for unless that is "", and adds
// what every tree has in an image.
func (c *coreWriter) close(want string) error {
	for _, p := range []string{"index.php", "wp-load.php", "wp-admin/index.php", versionFile} {
		if !c.seen[p] {
			return report.Hint(fmt.Errorf("it is not WordPress: %s is missing", p),
				"the folder or archive must be the whole of WordPress, with wp-admin and wp-includes")
		}
	}
	switch {
	case c.version == "":
		return fmt.Errorf("it is not WordPress: %s names no version", versionFile)
	case want != "" && c.version != want:
		return fmt.Errorf("it is WordPress %s, and %s was asked for", c.version, want)
	}
	if !c.seen["license.txt"] {
		if err := c.copyright(notice); err != nil {
			return err
		}
	}
	for _, dir := range []string{"plugins", "themes"} {
		if silent := path.Join("wp-content", dir, "index.php"); !c.seen[silent] {
			text := "<?php\n// Silence is golden.\n"
			if err := c.file(root+silent, int64(len(text)), strings.NewReader(text)); err != nil {
				return err
			}
		}
	}
	return c.out.Close()
}

// stream runs write in the background and returns what it writes; its error ends the reading.
// Closing the stream early ends write, and waits for it.
func stream(write func(io.Writer) error) io.ReadCloser {
	r, w := io.Pipe()
	s := &streamed{r, make(chan struct{})}
	go func() {
		defer close(s.done)
		w.CloseWithError(write(w))
	}()
	return s
}

type streamed struct {
	*io.PipeReader
	done chan struct{}
}

func (s *streamed) Close() error {
	err := s.PipeReader.Close()
	<-s.done
	return err
}

// errChanged tells of a file that was another when its folder was looked through.
var errChanged = errors.New("it changed while it was read: run it again")
