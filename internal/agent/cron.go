package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"

	"platen/internal/task"
)

// cronScript takes a lease in the database itself: of all tasks that ask in a minute, one runs
// the due events.
const cronScript = task.Platen + "/agent/cron.php"

// runCron asks for due events at every tick until the context ends. A run that takes longer
// than a tick delays the next one; two never overlap.
func runCron(ctx context.Context, ticks <-chan time.Time, socket string, log *Log) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			cronOnce(ctx, socket, log)
		}
	}
}

func cronOnce(ctx context.Context, socket string, log *Log) {
	ctx, cancel := context.WithTimeout(ctx, (CronTimeout+10)*time.Second)
	defer cancel()
	a, err := fastcgi(ctx, socket, map[string]string{
		"SCRIPT_FILENAME": cronScript, "SCRIPT_NAME": "/-/cron", "REQUEST_URI": "/-/cron",
	})
	switch {
	case ctx.Err() != nil:
		// The task stops; php ends what it does in its own time.
	case err != nil:
		log.Warn("cron could not be asked; the next minute tries again", Field{"error", err.Error()})
	case a.Status >= 400:
		log.Error("cron failed", Field{"status", a.Status}, Field{"output", excerpt(a.Body)}, Field{"stderr", excerpt(a.Stderr)})
	case len(bytes.TrimSpace(a.Stderr)) > 0:
		log.Warn("cron complained", Field{"stderr", excerpt(a.Stderr)})
	default:
		tellCron(a.Body, log)
	}
}

// tellCron logs a run that did something; most minutes have nothing due, or another task had them.
func tellCron(body []byte, log *Log) {
	var report struct{ Ran, Failed int }
	if err := json.Unmarshal(body, &report); err != nil {
		log.Warn("cron answered no report", Field{"output", excerpt(body)})
		return
	}
	switch {
	case report.Failed > 0:
		log.Error("some due events failed", Field{"report", json.RawMessage(body)})
	case report.Ran > 0:
		log.Info("ran due events", Field{"report", json.RawMessage(body)})
	}
}

func excerpt(b []byte) string {
	return strings.ToValidUTF8(string(bytes.TrimSpace(b[:min(len(b), 4096)])), "�")
}

// everyMinute ticks from a random second on, so that tasks that started together do not ask
// together for ever.
func everyMinute(ctx context.Context) <-chan time.Time {
	ticks := make(chan time.Time)
	go func() {
		timer := time.NewTimer(5*time.Second + rand.N(55*time.Second)) //nolint:gosec // no secret
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-timer.C:
				timer.Reset(time.Minute)
				select {
				case ticks <- now:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return ticks
}
