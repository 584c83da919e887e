package agent

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Log writes JSON lines: {"time","level","stream","message"} and what a caller adds. It may be
// used by many goroutines.
type Log struct {
	mu     sync.Mutex
	out    io.Writer
	now    func() time.Time
	hiding *Redactor
}

// NewLog returns a log that writes to out.
func NewLog(out io.Writer) *Log { return &Log{out: out, now: time.Now} }

// Hide keeps these secrets out of every line from now on, whoever wrote it.
func (l *Log) Hide(secrets Secrets) {
	redactor := secrets.Redactor()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hiding = redactor
}

func (l *Log) redactor() *Redactor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.hiding
}

// The levels of a line.
const (
	levelInfo    = "info"
	levelWarning = "warning"
	levelError   = "error"
)

// Field is a further key of a line.
type Field struct {
	Key   string
	Value any
}

// Info says what the agent did.
func (l *Log) Info(message string, fields ...Field) { l.line(levelInfo, "agent", message, fields) }

// Warn says what somebody should look at.
func (l *Log) Warn(message string, fields ...Field) { l.line(levelWarning, "agent", message, fields) }

// Error says what failed.
func (l *Log) Error(message string, fields ...Field) { l.line(levelError, "agent", message, fields) }

func (l *Log) line(level, stream, message string, fields []Field) {
	var b bytes.Buffer
	add := func(separator, key string, value any) {
		b.WriteString(separator)
		encoded, err := json.Marshal(value)
		if err != nil {
			encoded, _ = json.Marshal(err.Error())
		}
		name, _ := json.Marshal(key)
		b.Write(name)
		b.WriteByte(':')
		b.Write(encoded)
	}
	add("{", "time", l.now().UTC().Format(time.RFC3339Nano))
	add(",", "level", level)
	add(",", "stream", stream)
	add(",", "message", message)
	for _, f := range fields {
		add(",", f.Key, f.Value)
	}
	b.WriteString("}\n")
	l.write(b.Bytes())
}

// A log that cannot be written has nobody to tell.
func (l *Log) write(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(l.hiding.Bytes(line))
}

// maxLine bounds a line of a child: longer ones are cut into several.
const maxLine = 64 << 10

// Relay copies what a child writes, line by line, until its end. A line that is a JSON object
// already is passed on as it is.
func (l *Log) Relay(stream string, child io.Reader) {
	r := bufio.NewReaderSize(child, maxLine)
	var pending []byte // what was cut off a long line, and may be the beginning of a secret
	for {
		line, err := r.ReadSlice('\n')
		text := line
		if len(pending) > 0 {
			text = append(pending, line...)
			pending = nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			redactor := l.redactor()
			text = redactor.Bytes(text)
			keep := max(0, len(text)-redactor.reach())
			pending = bytes.Clone(text[keep:])
			text = text[:keep]
		}
		if text = bytes.TrimRight(text, "\r\n"); len(text) > 0 {
			l.relayLine(stream, text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (l *Log) relayLine(stream string, text []byte) {
	if text[0] == '{' && json.Valid(text) {
		l.write(append(bytes.Clone(text), '\n'))
		return
	}
	level, message := childLevel(string(text))
	l.line(level, stream, message, nil)
}

// fpmLine is what php-fpm's master writes: [22-Nov-2026 13:17:00] NOTICE: ready to handle connections
var fpmLine = regexp.MustCompile(`^\[\d\d-\w{3}-\d{4} [\d:.]+\] (DEBUG|NOTICE|WARNING|ERROR|ALERT): (.*)$`)

// childLevel finds the level of a line of php-fpm or of a PHP script, and strips the time that
// our own line carries already.
func childLevel(text string) (level, message string) {
	if m := fpmLine.FindStringSubmatch(text); m != nil {
		switch m[1] {
		case "WARNING":
			return levelWarning, m[2]
		case "ERROR", "ALERT":
			return levelError, m[2]
		}
		return levelInfo, m[2]
	}
	// A worker's line: NOTICE: PHP message: PHP Warning:  … It is a notice whatever it says.
	rest := strings.TrimPrefix(strings.TrimPrefix(text, "NOTICE: "), "PHP message: ")
	switch {
	case strings.HasPrefix(rest, "PHP Fatal error:"), strings.HasPrefix(rest, "PHP Parse error:"),
		strings.HasPrefix(rest, "PHP Recoverable fatal error:"), strings.HasPrefix(rest, "WordPress database error"):
		return levelError, rest
	case strings.HasPrefix(rest, "PHP Warning:"), strings.HasPrefix(rest, "PHP Startup:"):
		return levelWarning, rest
	}
	return levelInfo, rest
}
