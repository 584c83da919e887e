package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// What nginx writes at the beginning of a cached answer: ngx_http_file_cache_header_t of nginx
// 1.26 (version 5), the same on 64-bit ARM and x86. The key follows as "\nKEY: …\n", then, at
// header_start, what php sent: for FastCGI, its records as they came. testdata/page.cache is one
// that nginx of our image wrote.
const (
	cacheVersion     = 5
	cacheHeaderBytes = 336
	atValidUntil     = 8
	atDate           = 40
	atHeaderStart    = 54
	atBodyStart      = 56
)

// headMost bounds what is read of a file: header_start and body_start are 16 bits wide.
const headMost = 1 << 16

// page is what a cached answer says of itself.
type page struct {
	key      string
	tags     []uint64  // hashes, see hashTag
	rendered time.Time // when php began with it
	version  int64     // the last change that the readers had which it was made from; -1 = made from none
	brief    bool      // kept for less than a minute: an address that leads nowhere
	size     int64
}

// readPage reads the head of a file of nginx' cache.
func readPage(path string) (page, error) {
	f, err := os.Open(path)
	if err != nil {
		return page{}, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return page{}, err
	}
	head, err := io.ReadAll(io.LimitReader(f, headMost))
	if err != nil {
		return page{}, err
	}
	p, err := parsePage(head)
	p.size = info.Size()
	if err != nil {
		return p, fmt.Errorf("read %s as a page of nginx' cache: %w", path, err)
	}
	return p, nil
}

func parsePage(head []byte) (page, error) {
	p := page{version: -1}
	if len(head) < cacheHeaderBytes {
		return p, errors.New("it is too short")
	}
	number := binary.NativeEndian
	if v := number.Uint64(head); v != cacheVersion {
		return p, fmt.Errorf("it has version %d of the format: want %d", v, cacheVersion)
	}
	start, end := int(number.Uint16(head[atHeaderStart:])), int(number.Uint16(head[atBodyStart:]))
	if start < cacheHeaderBytes || end < start || end > len(head) {
		return p, fmt.Errorf("its parts are at %d and %d of %d bytes", start, end, len(head))
	}
	key, found := bytes.CutPrefix(head[cacheHeaderBytes:start], []byte("\nKEY: "))
	if !found {
		return p, errors.New("it has no key")
	}
	p.key = string(bytes.TrimRight(key, "\n"))
	valid := int64(number.Uint64(head[atValidUntil:])) - int64(number.Uint64(head[atDate:])) //nolint:gosec // time_t
	p.brief = valid < 60
	return p, p.parseHeaders(cgiHeaders(head[start:end]))
}

// cgiHeaders joins the standard output of FastCGI records. What is no whole record, or is something
// else, ends it.
func cgiHeaders(records []byte) string {
	var text strings.Builder
	for len(records) >= 8 && records[0] == fcgiVersion {
		length, padding := int(binary.BigEndian.Uint16(records[4:])), int(records[6])
		kind, content := records[1], records[8:]
		if kind == fcgiStdout {
			text.Write(content[:min(length, len(content))])
		}
		records = content[min(length+padding, len(content)):]
	}
	headers, _, _ := strings.Cut(text.String(), "\r\n\r\n")
	return headers
}

func (p *page) parseHeaders(headers string) error {
	for line := range strings.SplitSeq(headers, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(name) {
		case "x-platen-tags":
			for tag := range strings.FieldsSeq(value) {
				p.tags = append(p.tags, hashTag(tag))
			}
		case "x-platen-rendered":
			seconds, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return fmt.Errorf("its time is %q", value)
			}
			p.rendered = time.UnixMicro(int64(seconds * 1e6))
		case "x-platen-version":
			if value == "-" {
				continue
			}
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				return fmt.Errorf("its version is %q", value)
			}
			p.version = int64(n) //nolint:gosec // 63 bits
		}
	}
	if len(p.tags) == 0 || p.rendered.IsZero() {
		return errors.New("php did not say what is on it")
	}
	return nil
}

// hashTag stands for a tag in memory. Two that meet drop a page too many.
func hashTag(tag string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, tag) // never fails, says hash.Hash
	return h.Sum64()
}
