package terraform

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/terraform-exec/tfexec"

	"platen/internal/report"
)

// lease is the record that a Terraform of ours runs in a stack's folder. A kill leaves it
// there, and with it the proof that a lock which is left in the state is ours.
type lease struct {
	Since time.Time `json:"since"`
}

// leaseFile lies beside the stack's own files.
const leaseFile = "platen.running"

// locked runs a command that takes the state's lock. A lock that a killed Terraform of this
// folder left is given back first: nobody else can run here, since the environment's own lock
// is ours, and an apply that outlived its platen was waited for.
func (r *Runner) locked(ctx context.Context, tf *tfexec.Terraform, stack string, s *stream, run func() error) error {
	if err := r.awaitOrphan(ctx, stack); err != nil {
		return err
	}
	path := filepath.Join(r.Folder, stack, leaseFile)
	left, killed := readLease(path)
	data, err := json.Marshal(lease{time.Now().UTC()})
	if err != nil {
		return err
	}
	if !killed {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return fmt.Errorf("record that Terraform runs: %w", err)
		}
	}
	err = run()
	held := s.held(err)
	if held != nil && killed && ours(held, left) {
		r.sink.Log(stack, "giving back the lock that an interrupted run of "+held.Who+" left in the state")
		if err := tf.ForceUnlock(ctx, held.ID); err != nil {
			return fmt.Errorf("give back the lock %s of %s: %w", held.ID, stack, err)
		}
		*s = stream{stack: s.stack, sink: s.sink}
		err = run()
		held = s.held(err)
	}
	_ = os.Remove(path)
	if held != nil {
		return held
	}
	return err
}

func readLease(path string) (lease, bool) {
	var l lease
	data, err := os.ReadFile(path)
	return l, err == nil && json.Unmarshal(data, &l) == nil
}

// ours tells whether a lock was taken by this person on this machine while our killed run was
// under way.
func ours(held *report.HeldError, l lease) bool {
	host, err := os.Hostname()
	if err != nil {
		return false
	}
	who, err := user.Current()
	if err != nil {
		return false
	}
	return held.Who == who.Username+"@"+host && !held.Since.Before(l.Since.Truncate(time.Second))
}

var lockField = regexp.MustCompile(`(?m)^\s*(ID|Path|Operation|Who|Created):\s+(.+?)\s*$`)

// held reads who holds the lock out of what Terraform said; nil when the failure was another.
func (s *stream) held(err error) *report.HeldError {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, d := range s.errors {
		text += "\n" + d.Summary + "\n" + d.Detail
	}
	if !strings.Contains(text, "Error acquiring the state lock") {
		return nil
	}
	held := &report.HeldError{What: "the Terraform state of the stack " + s.stack, Who: "somebody"}
	for _, m := range lockField.FindAllStringSubmatch(text, -1) {
		switch m[1] {
		case "ID":
			held.ID = m[2]
		case "Who":
			held.Who = m[2]
		case "Operation":
			held.Doing = m[2]
		case "Created":
			held.Since, _ = time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", m[2])
		}
	}
	held.Do = "wait for it to end; when it is gone for good, in that stack's folder (platen render writes it): terraform force-unlock " + held.ID
	return held
}
