package cli

import (
	"context"
	"fmt"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"

	"platen/internal/report"
)

// frameTime is how often the live tree moves: often enough to look alive, cheap over a remote line.
const frameTime = 120 * time.Millisecond

// tree shows the steps live. It takes the terminal with the first event, so that a question can
// be asked before, and gives it back in close, with the final state left on the screen.
func (a *app) tree(ctx context.Context) progress {
	var (
		begin   sync.Once
		program *tea.Program
		ended   = make(chan struct{})
	)
	start := func() {
		m := &treeModel{board: board{style: a.errStyle}, now: a.Engine.Now, interrupt: a.cancel}
		program = tea.NewProgram(m,
			tea.WithInput(a.in), tea.WithOutput(a.err),
			tea.WithoutSignalHandler()) // main's own ends ctx, and the verb ends cleanly
		go func() {
			defer close(ended)
			if _, err := program.Run(); err != nil && ctx.Err() == nil {
				// Without a tree the work still goes on; its result is printed after.
				fmt.Fprintf(a.err, "cannot draw progress: %v\n", err)
			}
			if m.abandoned && a.Abandon != nil {
				a.Abandon() // only now: the terminal is as it was
			}
		}()
	}
	return progress{
		sink: func(e report.Event) {
			begin.Do(start)
			program.Send(e) // returns at once when the program has ended
		},
		close: func() {
			unused := false
			begin.Do(func() { unused = true })
			if unused {
				return
			}
			if ctx.Err() == nil {
				program.Send(over{})
			}
			program.Quit()
			<-ended
		},
	}
}

// treeModel connects the board to the terminal.
type treeModel struct {
	board         board
	width, height int
	now           func() time.Time
	interrupt     context.CancelFunc
	interrupted   bool // Ctrl-C was pressed: the verb ends cleanly
	abandoned     bool // and once more: it ends as any program
}

type (
	frame time.Time
	over  struct{} // the verb ended by itself
)

func tick() tea.Cmd { return tea.Tick(frameTime, func(t time.Time) tea.Msg { return frame(t) }) }

// Init implements tea.Model.
func (m *treeModel) Init() tea.Cmd { return tick() }

// Update implements tea.Model.
func (m *treeModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case report.Event:
		if msg.Event == "log" {
			return m, tea.Println(logLine(msg))
		}
		m.board.take(msg, m.now())
	case over:
		m.board.settle(m.now())
	case frame:
		return m, tick()
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		// In raw mode the terminal sends no signal: the key is the signal.
		switch msg.String() {
		case "ctrl+c":
			if m.interrupted {
				m.abandoned = true
				return m, tea.Quit
			}
			m.interrupted = true
			m.interrupt()
		case "ctrl+z":
			return m, tea.Suspend
		}
	}
	return m, nil
}

// View implements tea.Model.
func (m *treeModel) View() tea.View {
	height := m.height - 2 // the cursor's line, and one for the note below
	text := m.board.draw(m.width, max(height, 3), m.now())
	if m.interrupted {
		text += "\nstopping cleanly … (Ctrl-C again: at once)"
	}
	return tea.NewView(text + "\n")
}
