package job

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// mailbox is a folder of messages, a file each, in the order of their names. It may be used by
// many goroutines; other processes may read it meanwhile.
type mailbox struct {
	folder   string
	messages int   // kept at most
	bytes    int64 // kept at most

	mu sync.Mutex
}

// Message is one caught mail.
type Message struct {
	ID      string    `json:"id"`
	From    string    `json:"from"`
	To      []string  `json:"to"` // of the envelope: blind copies too
	Subject string    `json:"subject"`
	Date    time.Time `json:"date"` // when it was caught, UTC
	Bytes   int64     `json:"bytes"`
}

const (
	envelopeFrom = "X-Platen-Envelope-From"
	envelopeTo   = "X-Platen-Envelope-To"
	idTime       = "20060102T150405.000000000"
)

var messageID = regexp.MustCompile(`^\d{8}T\d{6}\.\d{9}-[A-Z0-9]{26}$`)

// store writes a message and returns its ID; it is durable and listed from then on.
func (b *mailbox) store(from string, to []string, r io.Reader) (id string, err error) {
	if err := os.MkdirAll(b.folder, 0o700); err != nil {
		return "", err
	}
	f, err := os.CreateTemp(b.folder, ".incoming-")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep a mail: %w", errors.Join(err, f.Close(), os.Remove(f.Name())))
		}
	}()
	if _, err = fmt.Fprintf(f, "%s: %s\r\n%s: %s\r\n", envelopeFrom, from, envelopeTo, strings.Join(to, ", ")); err != nil {
		return "", err
	}
	if _, err = io.Copy(f, r); err != nil {
		return "", err
	}
	if err = f.Sync(); err != nil {
		return "", err
	}
	// The order of names is the order of arrival: named under the lock.
	b.mu.Lock()
	defer b.mu.Unlock()
	id = time.Now().UTC().Format(idTime) + "-" + rand.Text()
	if err = os.Rename(f.Name(), b.path(id)); err != nil {
		return "", err
	}
	return id, errors.Join(f.Close(), b.forget())
}

func (b *mailbox) path(id string) string { return filepath.Join(b.folder, id+".eml") }

// forget removes the oldest messages beyond the bounds.
func (b *mailbox) forget() error {
	ids, err := b.ids()
	if err != nil {
		return err
	}
	var total int64
	for i, id := range ids {
		info, err := os.Stat(b.path(id))
		if err != nil {
			return err
		}
		total += info.Size()
		if i > 0 && (i >= b.messages || total > b.bytes) {
			if err := os.Remove(b.path(id)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ids lists the messages, newest first.
func (b *mailbox) ids() ([]string, error) {
	entries, err := os.ReadDir(b.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, entry := range entries {
		if id, found := strings.CutSuffix(entry.Name(), ".eml"); found && messageID.MatchString(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

// list reads the heads of all messages, newest first; never nil.
func (b *mailbox) list() ([]Message, error) {
	ids, err := b.ids()
	if err != nil {
		return nil, err
	}
	messages := []Message{}
	for _, id := range ids {
		m, err := b.head(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue // forgotten since
		}
		if err != nil {
			return nil, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

// head reads what a list shows. A message that cannot be parsed is listed all the same.
func (b *mailbox) head(id string) (m Message, err error) {
	f, err := os.Open(b.path(id))
	if err != nil {
		return Message{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return Message{}, err
	}
	m = Message{ID: id, To: []string{}, Bytes: info.Size()}
	if m.Date, err = time.Parse(idTime, id[:len(idTime)]); err != nil {
		return m, err
	}
	parsed, err := mail.ReadMessage(bufio.NewReader(f))
	if err != nil {
		m.Subject = "(unreadable)"
		return m, nil
	}
	if to := parsed.Header.Get(envelopeTo); to != "" {
		m.To = strings.Split(to, ", ")
	}
	m.From = parsed.Header.Get(envelopeFrom)
	if from, err := parsed.Header.AddressList("From"); err == nil && len(from) > 0 {
		m.From = from[0].Address
	}
	m.Subject = parsed.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = decoded
	}
	return m, nil
}

// show writes a message as it came, without our own lines.
func (b *mailbox) show(id string, w io.Writer) error {
	if !messageID.MatchString(id) {
		return fmt.Errorf("%q is no message: mail list shows their IDs", id)
	}
	content, err := os.ReadFile(b.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("message %s is not there (any more): mail list shows those that are", id)
	}
	if err != nil {
		return err
	}
	for range 2 {
		_, content, _ = bytes.Cut(content, []byte("\r\n"))
	}
	_, err = w.Write(content)
	return err
}
