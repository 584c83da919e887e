package cli

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"platen/internal/report"
)

// board is the tree of steps that a person watches. It is fed with events and drawn at a moment;
// it knows no terminal.
type board struct {
	style style
	steps []*step
}

// step is one node of the tree.
type step struct {
	name           string
	state, detail  string
	began, ended   time.Time
	current, total int64
	children       []*step
	said           bool // an event named it; else it stands for its children
}

// take keeps what an event says about a step.
func (b *board) take(e report.Event, now time.Time) {
	if e.Event != "step" || e.Step == "" {
		return
	}
	list := &b.steps
	var s *step
	for _, name := range strings.Split(e.Step, "/") {
		s = find(list, name, now)
		list = &s.children
	}
	s.said = true
	s.state = e.State
	if e.Detail != "" {
		s.detail = e.Detail
	}
	if e.Total != 0 {
		s.current, s.total = e.Current, e.Total
	}
	if e.State != report.Running {
		s.ended = now
	}
	for _, top := range b.steps {
		top.gather()
	}
}

// gather works out the state of a step that no event named from its children's.
func (s *step) gather() {
	worst := report.Done
	var last time.Time
	for _, child := range s.children {
		child.gather()
		switch {
		case child.state == report.Failed:
			worst = report.Failed
		case child.state == report.Running && worst != report.Failed:
			worst = report.Running
		}
		if child.ended.After(last) {
			last = child.ended
		}
	}
	if !s.said && len(s.children) > 0 {
		s.state, s.ended = worst, last
	}
}

// settle ends what nobody said the end of, when nothing failed: the verb is over.
func (b *board) settle(now time.Time) {
	for _, s := range b.steps {
		if s.state == report.Failed {
			return
		}
	}
	for _, s := range b.steps {
		s.settle(now)
	}
}

func (s *step) settle(now time.Time) {
	if s.state == report.Running {
		s.state, s.ended = report.Done, now
	}
	for _, child := range s.children {
		child.settle(now)
	}
}

func find(list *[]*step, name string, now time.Time) *step {
	for _, s := range *list {
		if s.name == name {
			return s
		}
	}
	s := &step{name: name, state: report.Running, began: now}
	*list = append(*list, s)
	return s
}

// draw returns the tree in at most height lines of at most width cells. What is finished gives
// way first: its parts go, then the oldest lines.
func (b *board) draw(width, height int, now time.Time) string {
	lines := b.lines(now, true)
	if height > 0 && len(lines) > height {
		lines = b.lines(now, false)
	}
	if height > 0 && len(lines) > height {
		hidden := len(lines) - height + 1
		lines = append([]string{b.style.dim(fmt.Sprintf("  … %d more", hidden))}, lines[hidden:]...)
	}
	if width > 0 {
		cut := lipgloss.NewStyle().MaxWidth(width)
		for i, l := range lines {
			lines[i] = cut.Render(l)
		}
	}
	return strings.Join(lines, "\n")
}

func (b *board) lines(now time.Time, all bool) []string {
	var lines []string
	for _, s := range b.steps {
		lines = b.append(lines, s, 0, now, all)
	}
	return lines
}

func (b *board) append(lines []string, s *step, depth int, now time.Time, all bool) []string {
	lines = append(lines, b.line(s, depth, now))
	if finished(s.state) {
		return lines // its parts are history
	}
	for _, child := range s.children {
		if all || !finished(child.state) {
			lines = b.append(lines, child, depth+1, now, all)
		}
	}
	return lines
}

func finished(state string) bool { return state == report.Done || state == report.Same }

func (b *board) line(s *step, depth int, now time.Time) string {
	end := s.ended
	if s.state == report.Running {
		end = now
	}
	took := end.Sub(s.began)
	text := strings.Repeat("  ", depth) + b.mark(s, now) + " " + s.name
	text = pad(text, 26) + " " + pad(b.style.dim(fmt.Sprintf("%7s", elapsed(took))), 7)
	if s.total > 0 && s.state == report.Running {
		text += "  " + bytes(s.current, s.total, took)
	}
	if s.detail != "" {
		text += "  " + s.detail
	}
	return text
}

var spinner = []rune("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏")

func (b *board) mark(s *step, now time.Time) string {
	switch s.state {
	case report.Done:
		return b.style.good("✓")
	case report.Same:
		return b.style.dim("=")
	case report.Failed:
		return b.style.bad("✗")
	default:
		frame := int(now.Sub(s.began)/frameTime) % len(spinner)
		return b.style.warn(string(spinner[max(0, frame)]))
	}
}

// bytes says how far a transfer is, and how fast on the average.
func bytes(current, total int64, took time.Duration) string {
	text := size(current) + " of " + size(total)
	if s := took.Seconds(); s > 0.5 {
		text += fmt.Sprintf(", %s/s", size(int64(float64(current)/s)))
	}
	return text
}
