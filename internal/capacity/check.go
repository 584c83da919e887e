package capacity

import (
	"errors"
	"fmt"
	"strings"

	"platen/internal/topology"
)

// Check answers whether a topology fits the limits of a place. It is pure: the same
// topology and limits give the same verdict. Reasons are empty when it fits.
func Check(t topology.Topology, l Limits) Verdict {
	reasons := []string{} // [] in JSON, never null
	say := func(format string, args ...any) { reasons = append(reasons, fmt.Sprintf(format, args...)) }

	php := t.Web.Config.PHP
	if topology.RoomForChildren(php.Memory, php.Upload) < 1 {
		say("web.php.memory %s does not hold one php process beside OPcache and an upload of %s: want %s or more",
			Bytes(php.Memory), Bytes(php.Upload), Bytes(topology.MemoryForChild(php.Upload)))
	}
	if c := t.Web.Config.Nginx.Cache; c >= t.Web.Nginx.Memory {
		say("nginx' page cache of %s lies in its memory of %s", Bytes(c), Bytes(t.Web.Nginx.Memory))
	}
	if t.Edge.Slots < 2*t.Web.Tasks.Max {
		say("the edge finds at most %d tasks, a roll of %d needs %d", t.Edge.Slots, t.Web.Tasks.Max, 2*t.Web.Tasks.Max)
	}
	// The extra task is the one that a roll adds before it drains an old one.
	if wanted := topology.ConnectionsWanted(t.Web.Tasks.Max+1, php.Children); t.AWS == nil && wanted*5 > t.Database.MaxConnections*4 {
		say("%d web tasks and a roll's extra one may open %d database connections (%d php processes each), more than 0.8 × max_connections %d",
			t.Web.Tasks.Max, wanted, php.Children, t.Database.MaxConnections)
	}
	if l.Memory > 0 {
		if r := memory(t, l.Memory); r != "" {
			reasons = append(reasons, r)
		}
	}
	if t.AWS != nil {
		reasons = append(reasons, checkAWS(t, l.Host)...)
	}
	if len(reasons) > 0 {
		return Verdict{Reasons: reasons}
	}
	return Verdict{Fits: true, Reasons: reasons, Sums: sums(t, l)}
}

// memory compares what may be used at once with what there is. A roll's extra task and a
// job run one after the other, so the larger of the two counts.
func memory(t topology.Topology, limit int64) string {
	steady := t.CalculateMemory()
	peak := max(t.TaskMemory(), t.JobLimits.Memory)
	if steady+peak <= limit {
		return ""
	}
	reason := fmt.Sprintf("the containers may use %s (%s at rest and %s while a task is replaced or a job runs), but there are %s",
		Bytes(steady+peak), Bytes(steady), Bytes(peak), Bytes(limit))
	left := limit - peak - (steady - int64(t.Web.Tasks.Min)*t.TaskMemory())
	if fit := left / t.TaskMemory(); fit >= 1 {
		return reason + fmt.Sprintf(": %d web tasks of %s each would fit", fit, Bytes(t.TaskMemory()))
	}
	return reason + ": not even one web task fits; lower web.php.memory or use a larger machine"
}

// Bytes writes a size as platen.yaml does: 768M, or 1.5G rounded to a tenth above a gigabyte.
func Bytes(n int64) string {
	const m, g = 1 << 20, 1 << 30
	switch {
	case n >= g && n%g == 0:
		return fmt.Sprintf("%dG", n/g)
	case n >= g:
		return fmt.Sprintf("%.1fG", float64(n)/g)
	default:
		return fmt.Sprintf("%dM", (n+m-1)/m)
	}
}

// ErrDoesNotFit is wrapped by a verdict's error.
var ErrDoesNotFit = errors.New("cannot fit")

// Err is nil when the topology fits, and else an error that wraps ErrDoesNotFit and lists
// every reason.
func (v Verdict) Err() error {
	if v.Fits {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrDoesNotFit, strings.Join(v.Reasons, "; "))
}
