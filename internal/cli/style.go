package cli

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// style colours words where a person's terminal shows them, and leaves them alone elsewhere.
type style struct{ color bool }

// newStyle honours NO_COLOR (no-color.org) and dumb terminals.
func newStyle(stream any, getenv func(string) string) style {
	return style{isTerminal(stream) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

func (s style) paint(color, text string) string {
	if !s.color || text == "" {
		return text
	}
	return lipgloss.NewStyle().Foreground(lipgloss.Color(color)).Render(text)
}

// The sixteen colours of the terminal's own theme, readable on light and dark.
func (s style) good(text string) string { return s.paint("2", text) }
func (s style) bad(text string) string  { return s.paint("1", text) }
func (s style) warn(text string) string { return s.paint("3", text) }
func (s style) dim(text string) string  { return s.paint("8", text) }

func (s style) bold(text string) string {
	if !s.color {
		return text
	}
	return lipgloss.NewStyle().Bold(true).Render(text)
}

// pad fills text with spaces to so many cells, escape sequences not counted.
func pad(text string, width int) string {
	if n := width - lipgloss.Width(text); n > 0 {
		return text + strings.Repeat(" ", n)
	}
	return text
}
