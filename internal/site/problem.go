package site

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Problem is one thing that is wrong with platen.yaml, where it is, and what to do.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`   // from 1
	Column  int    `json:"column"` // from 1, in characters
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Source  string `json:"source"` // the whole line
}

// String is file:line:col: message, and below it the source line with a caret and the hint.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s\n", p.File, p.Line, p.Column, p.Message)
	source, caret := excerpt(p.Source, p.Column)
	margin := fmt.Sprintf("%5d", p.Line)
	fmt.Fprintf(&b, "%s | %s\n", margin, source)
	fmt.Fprintf(&b, "%s | %s^", strings.Repeat(" ", len(margin)), strings.Repeat(" ", caret))
	if p.Hint != "" {
		b.WriteString(" " + p.Hint)
	}
	return b.String()
}

// excerpt makes a source line fit for a terminal: no control characters (the file may come
// from anybody), at most 100 characters around the column. It returns the caret's offset.
func excerpt(line string, column int) (string, int) {
	const width = 100
	runes := []rune(line)
	for i, r := range runes {
		if r == utf8.RuneError || (r != ' ' && !unicode.IsPrint(r)) {
			runes[i] = ' '
		}
	}
	at := max(0, min(column-1, len(runes)))
	from := max(0, at-width*3/4)
	to := min(len(runes), from+width)
	return strings.TrimRight(string(runes[from:to]), " "), at - from
}

// Errors is everything that is wrong with a platen.yaml, in the order of the file.
type Errors struct {
	Problems []Problem
}

func (e *Errors) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// findings collects problems of one file.
type findings struct {
	file     string
	lines    []string
	problems []Problem
}

func newFindings(file string, data []byte) *findings {
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	return &findings{file: file, lines: strings.Split(text, "\n")}
}

// add takes a problem once: the base is looked at again under every environment.
func (r *findings) add(at position, hint, format string, args ...any) {
	at.line = max(1, min(at.line, len(r.lines)))
	at.col = max(1, at.col)
	p := Problem{
		File: r.file, Line: at.line, Column: at.col,
		Message: fmt.Sprintf(format, args...), Hint: hint, Source: r.lines[at.line-1],
	}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// err is nil, or *Errors in the order of the file.
func (r *findings) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Errors{r.problems}
}
