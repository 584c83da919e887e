package agent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"

	"platen/internal/task"
)

// hidden stands in a log where a secret was.
const hidden = "[secret]"

// shortestSecret is the least length of a value that is looked for: a shorter one (a person's
// mail password may be "mail") would also be found where it is no secret.
const shortestSecret = 8

// Redactor takes secrets out of text. PHP and its extensions print what they were configured
// with: phpredis names session.save_path, token included, whenever the store is away.
type Redactor struct {
	replacer *strings.Replacer
	longest  int // bytes
}

// Redactor hides these secrets and the keys of wp-config.php that are derived from them, as they
// are, percent-encoded as in an address, and escaped as in JSON.
func (s Secrets) Redactor() *Redactor {
	values := make([]string, 0, len(s)+len(keyNames))
	for _, value := range s {
		values = append(values, value)
	}
	if salt := s[task.SecretSalt]; salt != "" {
		for _, name := range keyNames {
			values = append(values, deriveKey(salt, name))
		}
	}
	var forms []string
	for _, value := range values {
		if len(value) < shortestSecret {
			continue
		}
		forms = append(forms, value, url.QueryEscape(value), url.PathEscape(value))
		if quoted, err := json.Marshal(value); err == nil {
			forms = append(forms, strings.Trim(string(quoted), `"`))
		}
	}
	// A replacer takes the first that fits: of two where one begins like the other, the longer.
	slices.SortFunc(forms, func(a, b string) int {
		if d := len(b) - len(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	forms = slices.Compact(forms)
	r := &Redactor{}
	pairs := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		pairs = append(pairs, form, hidden)
		r.longest = max(r.longest, len(form))
	}
	if len(pairs) > 0 {
		r.replacer = strings.NewReplacer(pairs...)
	}
	return r
}

// Bytes returns text without the secrets. A nil Redactor knows none.
func (r *Redactor) Bytes(text []byte) []byte {
	if r == nil || r.replacer == nil {
		return text
	}
	return []byte(r.replacer.Replace(string(text)))
}

// reach is how many bytes at the end of a piece of text may be the beginning of a secret.
func (r *Redactor) reach() int {
	if r == nil {
		return 0
	}
	return max(0, r.longest-1)
}

// Writer passes text on to w, line by line, without the secrets. Close passes on what came
// after the last end of a line.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser { return &redacting{redactor: r, out: w} }

type redacting struct {
	mu       sync.Mutex
	redactor *Redactor
	out      io.Writer
	pending  []byte
}

func (w *redacting) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending = append(w.pending, p...)
	end := bytes.LastIndexByte(w.pending, '\n') + 1
	if end == 0 && len(w.pending) > maxLine {
		w.pending = w.redactor.Bytes(w.pending)
		end = max(0, len(w.pending)-w.redactor.reach())
	}
	if end == 0 {
		return len(p), nil
	}
	whole := w.redactor.Bytes(w.pending[:end])
	w.pending = append([]byte(nil), w.pending[end:]...)
	if _, err := w.out.Write(whole); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *redacting) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	rest := w.redactor.Bytes(w.pending)
	w.pending = nil
	if len(rest) == 0 {
		return nil
	}
	_, err := w.out.Write(rest)
	return err
}
