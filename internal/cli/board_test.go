package cli

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"platen/internal/report"
)

// told feeds events, one a second.
func told(events ...report.Event) (*board, time.Time) {
	b, now := &board{}, time.Unix(0, 0)
	for _, e := range events {
		e.Event = "step"
		b.take(e, now)
		now = now.Add(time.Second)
	}
	return b, now
}

func TestBoardShowsWhatIsAtWorkAndFoldsWhatIsDone(t *testing.T) {
	b, now := told(
		report.Event{Step: "images", State: report.Running},
		report.Event{Step: "images/nginx", State: report.Running},
		report.Event{Step: "images/nginx", State: report.Done},
		report.Event{Step: "images", State: report.Done},
		report.Event{Step: "web", State: report.Running},
		report.Event{Step: "web/web-1", State: report.Running, Detail: "starting"},
		report.Event{Step: "web/web-1/php", State: report.Failed, Detail: "exit status 1"},
	)
	want := `✓ images                      3.0s
⠏ web                         3.0s
  ⠋ web-1                     2.0s  starting
    ✗ php                     0.0s  exit status 1`
	if got := b.draw(80, 24, now); flat(got) != flat(want) {
		t.Errorf("drawn:\n%s\nwant:\n%s", got, want)
	}
}

// flat takes away which frame the spinner is at.
func flat(s string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(string(spinner), r) {
			return '*'
		}
		return r
	}, s)
}

func TestBoardFinishesStepsThatNobodyNamed(t *testing.T) {
	b, now := told(
		report.Event{Step: "edge/edge", State: report.Running},
		report.Event{Step: "edge/edge", State: report.Done},
	)
	if got := b.draw(80, 24, now); !strings.HasPrefix(got, "✓ edge") || strings.Contains(got, "\n") {
		t.Errorf("drawn:\n%s", got)
	}
}

func TestBoardFitsTheTerminal(t *testing.T) {
	var events []report.Event
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q r s t u v w x y z") {
		events = append(events, report.Event{Step: "packages/" + name, State: report.Running, Current: 5e6, Total: 9e9, Detail: strings.Repeat("long ", 40)})
	}
	b, now := told(events...)
	for _, size := range [][2]int{{80, 24}, {40, 5}, {20, 3}} {
		lines := strings.Split(b.draw(size[0], size[1], now), "\n")
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, l := range lines {
			if lipgloss.Width(l) > size[0] {
				t.Errorf("%v: %d cells: %q", size, lipgloss.Width(l), l)
			}
		}
	}
}

func TestBytesSayHowFarAndHowFast(t *testing.T) {
	if got, want := bytes(30e6, 60e6, 10*time.Second), "30.0 MB of 60.0 MB, 3.0 MB/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPictureFitsEightyColumns(t *testing.T) {
	a := &app{}
	picture := a.picture(report.Status{
		Environment: "local", Target: "local", URL: "http://localhost:8080", Release: "1baecc95394d", Healthy: true,
		Tiers: []report.Tier{
			{Name: "edge", Members: []report.Member{{Name: "edge", Role: "balancer", Healthy: true, Summary: "up 3 minutes, port 8080", Detail: strings.Repeat("x", 200)}}},
			{Name: "web", Redundant: true, Members: []report.Member{{Name: "web-1", Role: "task", Healthy: true}, {Name: "web-2", Role: "task",
				Summary: "the container's check says: " + strings.Repeat("php does not answer ", 5) + "for ever"}}},
			{Name: "mail"},
		},
		Notes: []string{"scaled by hand"},
	})
	for _, want := range []string{"● edge", "○ web-2", "web, redundant", "! scaled by hand", "up 3 minutes, port 8080", "for ever"} {
		if !strings.Contains(picture, want) {
			t.Errorf("no %q in\n%s", want, picture)
		}
	}
	if strings.Contains(picture, "mail") {
		t.Errorf("an empty tier is drawn:\n%s", picture)
	}
	for l := range strings.Lines(picture) {
		if lipgloss.Width(l) > 80 {
			t.Errorf("%d cells: %s", lipgloss.Width(l), l)
		}
	}
}

// The first Ctrl-C asks the verb to end cleanly; the second gives the terminal back and ends it.
func TestSecondCtrlCAbandons(t *testing.T) {
	interrupts := 0
	m := &treeModel{now: time.Now, interrupt: func() { interrupts++ }}
	ctrlC := tea.KeyPressMsg{Code: 'c', Mod: tea.ModCtrl}
	if _, cmd := m.Update(ctrlC); cmd != nil || interrupts != 1 || m.abandoned {
		t.Fatalf("the first: %d interrupts, abandoned %t", interrupts, m.abandoned)
	}
	_, cmd := m.Update(ctrlC)
	if cmd == nil || interrupts != 1 || !m.abandoned {
		t.Fatalf("the second: %d interrupts, abandoned %t", interrupts, m.abandoned)
	}
	if _, quits := cmd().(tea.QuitMsg); !quits {
		t.Error("the tree keeps the terminal")
	}
}
