// Command gotests runs `go test` in phases and judges the whole: a failed or a skipped test
// fails it, and so does a run with fewer tests than the floor that the repository records.
// A test that silently stopped running is as bad as one that broke.
//
//	gotests -floor tests/floor.txt -- -race ./internal/... -- -timeout 20m ./tests/e2e ++ ./tests/aws
//
// Each part after a `--` is one phase: arguments of one `go test`, or of several that run side by
// side, with a `++` between them. A phase that fails ends the run, when all of it has ended.
// What the tests said is kept in out/tests, a file a `go test`.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout))
}

func run(args []string, out io.Writer) int {
	flags := flag.NewFlagSet("gotests", flag.ContinueOnError)
	floor := flags.String("floor", "", "file with the least number of tests that a run must have")
	keep := flags.String("keep", "out/tests", "folder for what the tests said")
	own, phases := split(args)
	if err := flags.Parse(own); err != nil {
		return 2
	}
	if len(phases) == 0 {
		fmt.Fprintln(out, "gotests: no phase: say -- and arguments of go test")
		return 2
	}
	begin := time.Now()
	tally := newTally(out)
	var failure error
	for i, phase := range phases {
		if failure = runPhase(lanes(phase), filepath.Join(*keep, fmt.Sprintf("phase-%d", i+1)), tally); failure != nil {
			break
		}
	}
	if failure == nil {
		failure = tally.judge(*floor)
	}
	if failure == nil && *floor != "" {
		// `make floor` takes the number from here.
		failure = os.WriteFile(filepath.Join(*keep, "count.txt"), []byte(strconv.Itoa(tally.ran())+"\n"), 0o644)
	}
	tally.summary(time.Since(begin), failure)
	if failure != nil {
		return 1
	}
	return 0
}

// split cuts the arguments at each "--".
func split(args []string) (own []string, phases [][]string) {
	for _, arg := range args {
		switch {
		case arg == "--":
			phases = append(phases, nil)
		case len(phases) == 0:
			own = append(own, arg)
		default:
			phases[len(phases)-1] = append(phases[len(phases)-1], arg)
		}
	}
	return own, phases
}

// lanes cuts a phase at each "++".
func lanes(phase []string) [][]string {
	all := [][]string{nil}
	for _, arg := range phase {
		if arg == "++" {
			all = append(all, nil)
			continue
		}
		all[len(all)-1] = append(all[len(all)-1], arg)
	}
	return all
}

// runPhase runs the lanes side by side, each to its end: what one says is of use when another fails.
func runPhase(lanes [][]string, record string, t *tally) error {
	var wg sync.WaitGroup
	failures := make([]error, len(lanes))
	for i, lane := range lanes {
		name := record + ".jsonl"
		if len(lanes) > 1 {
			name = fmt.Sprintf("%s-%d.jsonl", record, i+1)
		}
		wg.Go(func() { failures[i] = runLane(lane, name, t) })
	}
	wg.Wait()
	return errors.Join(failures...)
}

func runLane(args []string, record string, t *tally) error {
	if err := os.MkdirAll(filepath.Dir(record), 0o755); err != nil {
		return err
	}
	file, err := os.Create(record)
	if err != nil {
		return err
	}
	defer file.Close()
	// -count=1: an answer from the cache says nothing about the engine of this machine.
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	readErr := t.read(io.TeeReader(stdout, file))
	// Wait only after everything was read: it closes the pipe.
	waitErr := cmd.Wait()
	if err := errors.Join(readErr, waitErr); err != nil {
		return fmt.Errorf("go test %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// event is one line of `go test -json` (see `go doc test2json`).
type event struct {
	Action     string
	Package    string
	ImportPath string
	Test       string
	Elapsed    float64
	Output     string
}

type key struct{ pkg, test string }

// tally counts what ran and holds each running test's output until its end is known. Lanes share
// it, and never run the same package.
type tally struct {
	mu                      sync.Mutex
	out                     io.Writer
	passed, failed, skipped []key
	output                  map[key][]string
	inPackage               map[string]int
}

func newTally(out io.Writer) *tally {
	return &tally{out: out, output: map[key][]string{}, inPackage: map[string]int{}}
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			t.line(line)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what go test says: %w", err)
		}
	}
}

func (t *tally) line(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		fmt.Fprintf(t.out, "%s", line)
		return
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "output":
		t.output[k] = append(t.output[k], e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(e, k)
		}
		delete(t.output, k)
	}
}

func (t *tally) endTest(e event, k key) {
	t.inPackage[k.pkg]++
	switch e.Action {
	case "pass":
		t.passed = append(t.passed, k)
		return
	case "fail":
		t.failed = append(t.failed, k)
	case "skip":
		t.skipped = append(t.skipped, k)
	}
	fmt.Fprint(t.out, strings.Join(t.output[k], ""))
}

func (t *tally) endPackage(e event) {
	switch e.Action {
	case "fail":
		// A panic or a failed TestMain speaks here, not in a test.
		fmt.Fprint(t.out, strings.Join(t.output[key{e.Package, ""}], ""))
		for k, output := range t.output {
			if k.pkg == e.Package && k.test != "" {
				fmt.Fprintf(t.out, "=== did not end: %s\n%s", k.test, strings.Join(output, ""))
			}
		}
	case "pass":
		fmt.Fprintf(t.out, "ok  \t%s\t%.1fs\t%d tests\n", e.Package, e.Elapsed, t.inPackage[e.Package])
	}
}

// ran is the number of tests and subtests that ended, skipped ones not among them.
func (t *tally) ran() int { return len(t.passed) + len(t.failed) }

func (t *tally) judge(floorFile string) error {
	if len(t.skipped) > 0 {
		return fmt.Errorf("%d tests were skipped: a skipped test proves nothing; mend it or delete it", len(t.skipped))
	}
	if floorFile == "" {
		return nil
	}
	content, err := os.ReadFile(floorFile)
	if err != nil {
		return fmt.Errorf("read the least number of tests: %w", err)
	}
	floor, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return fmt.Errorf("%s: want one number: %w", floorFile, err)
	}
	if t.ran() < floor {
		return fmt.Errorf("only %d tests ran, %s wants %d: find the tests that are gone, or lower the number in a commit that says why", t.ran(), floorFile, floor)
	}
	if t.ran() > floor {
		fmt.Fprintf(t.out, "%d tests more than %s records; `make floor` records them\n", t.ran()-floor, floorFile)
	}
	return nil
}

// summary ends with one line in gotestsum's form, which CI systems recognise.
func (t *tally) summary(took time.Duration, failure error) {
	for _, k := range t.skipped {
		fmt.Fprintf(t.out, "SKIPPED %s %s\n", k.pkg, k.test)
	}
	for _, k := range t.failed {
		fmt.Fprintf(t.out, "FAILED %s %s\n", k.pkg, k.test)
	}
	if failure != nil {
		fmt.Fprintf(t.out, "gotests: %v\n", failure)
	}
	fmt.Fprintf(t.out, "\nDONE %d tests", t.ran()+len(t.skipped))
	if n := len(t.skipped); n > 0 {
		fmt.Fprintf(t.out, ", %d skipped", n)
	}
	switch {
	case len(t.failed) > 0:
		fmt.Fprintf(t.out, ", %d failures", len(t.failed))
	case failure != nil:
		fmt.Fprint(t.out, ", 1 error")
	}
	fmt.Fprintf(t.out, " in %.3fs\n", took.Seconds())
}
