package cli

import (
	"fmt"
	"os"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"platen/internal/engine"
	"platen/internal/report"
)

func (a *app) statusCommand() *cobra.Command {
	var code bool
	cmd := &cobra.Command{
		Use:     "status [ENV]",
		Short:   "show what runs, and how it is",
		Example: "  platen status\n  platen status --json\n  platen status --quiet --exit-code    # 1 when the site is not healthy",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.environmentArg(args); err != nil {
				return err
			}
			s, err := a.Engine.Status(cmd.Context(), a.site)
			if err != nil {
				return err
			}
			switch {
			case a.json:
				if err := a.printJSON(complete(s)); err != nil {
					return err
				}
			case !a.quiet:
				a.printf("%s", a.picture(s))
			}
			if code && !s.Healthy {
				return statusError(exitFailed)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&code, "exit-code", false, "exit with 1 when the site is not healthy, or not up")
	return cmd
}

// complete makes lists of a status lists in JSON too when they are empty.
func complete(s report.Status) report.Status {
	if s.Tiers == nil {
		s.Tiers = []report.Tier{}
	}
	for i, t := range s.Tiers {
		if t.Members == nil {
			s.Tiers[i].Members = []report.Member{}
		}
	}
	return s
}

// The widths of the picture, in cells: at least what a terminal of 80 columns shows.
const (
	narrow = 78
	wide   = 110
)

// picture draws the topology: a section a tier, in the order of a request, its members in it.
func (a *app) picture(s report.Status) string {
	var b strings.Builder
	state := a.style.good("healthy")
	switch {
	case !engine.Runs(s):
		state = "not up"
	case !s.Healthy:
		state = a.style.bad("not healthy")
	}
	url := s.URL
	if strings.HasSuffix(url, ":0") {
		url = "no port yet" // the next free one, which up finds
	}
	fmt.Fprintf(&b, "%s  %s on %s  %s", a.style.bold(url), s.Environment, s.Target, state)
	if s.Release != "" {
		fmt.Fprintf(&b, "  release %s", s.Release)
	}
	b.WriteString("\n")
	if engine.Runs(s) {
		a.tiers(&b, s.Tiers, a.pictureWidth())
	} else {
		b.WriteString("Nothing runs. Bring it up: platen up\n")
	}
	for _, note := range s.Notes {
		fmt.Fprintf(&b, "%s %s\n", a.style.warn("!"), note)
	}
	return b.String()
}

// pictureWidth is what the terminal has, within reason.
func (a *app) pictureWidth() int {
	if f, ok := a.out.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			return min(max(width-2, 40), wide)
		}
	}
	return narrow
}

// tiers draws one frame with a section a tier.
func (a *app) tiers(b *strings.Builder, tiers []report.Tier, width int) {
	inner := width - 4
	clip := lipgloss.NewStyle().MaxWidth(inner)
	names, roles := columns(tiers)
	corners := "┌┐"
	for _, t := range tiers {
		if len(t.Members) == 0 {
			continue
		}
		label := t.Name
		if t.Redundant {
			label += ", redundant"
		}
		left, right := string([]rune(corners)[0]), string([]rune(corners)[1])
		fmt.Fprintf(b, "%s─ %s %s%s\n", left, a.style.bold(label), strings.Repeat("─", max(0, inner-lipgloss.Width(label)-1)), right)
		corners = "├┤"
		for _, m := range t.Members {
			mark := a.style.good("●")
			if !m.Healthy {
				mark = a.style.bad("○")
			}
			said := m.Summary
			if said == "" {
				said = m.Detail
			}
			head := mark + " " + pad(m.Name, names) + "  " + pad(m.Role, roles) + "  "
			// What is wrong is shown whole, over several lines when it is long.
			lines := []string{said}
			if room := inner - lipgloss.Width(head); !m.Healthy && room > 0 {
				lines = strings.Split(lipgloss.Wrap(said, room, ""), "\n")
			}
			for _, line := range lines {
				fmt.Fprintf(b, "│ %s │\n", pad(clip.Render(head+a.style.dim(line)), inner))
				head = strings.Repeat(" ", lipgloss.Width(head))
			}
		}
	}
	fmt.Fprintf(b, "└%s┘\n", strings.Repeat("─", width-2))
}

// columns are the widths of the members' names and roles.
func columns(tiers []report.Tier) (names, roles int) {
	for _, t := range tiers {
		for _, m := range t.Members {
			names = max(names, lipgloss.Width(m.Name))
			roles = max(roles, lipgloss.Width(m.Role))
		}
	}
	return names, min(roles, 10) // a longer one moves its own line alone
}
