package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"platen/internal/task"
)

// warmTimeout bounds how long a new task stays out for its first pages: a database that is away, or
// a plugin that hangs, must not keep every task out.
const warmTimeout = 10 * time.Second

// warmPages is how often the front page is made: the first compiles a few hundred files; the second
// says how long a page takes from now on.
const warmPages = 2

// beginWarming marks the task as one that gets no visitors yet. nginx starts later and sees it.
func beginWarming(marker string) error {
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		return fmt.Errorf("keep the task out until php is warm: %w", err)
	}
	return nil
}

// endWarming lets visitors in.
func endWarming(marker string) error {
	if err := os.Remove(marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("let visitors in: %w", err)
	}
	return nil
}

// warm has php make the front page, as for a visitor, before visitors come: the first one would
// wait until all of WordPress is compiled. It ends after warmTimeout at the latest, whatever
// happens; a page that could not be made is said and keeps nobody out.
func warm(ctx context.Context, socket string, o origin, log *Log) {
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	var took []float64
	for range warmPages {
		begin := time.Now()
		a, err := firstPage(ctx, socket, o)
		if err != nil {
			log.Warn("the front page could not be made before visitors come", Field{"error", err.Error()})
			return
		}
		took = append(took, time.Since(begin).Round(time.Millisecond).Seconds())
		if a.Status != 200 {
			// Not installed yet, or the database is away: asking again changes nothing.
			log.Info("the front page is not ready", Field{"status", a.Status}, Field{"seconds", took})
			return
		}
	}
	log.Info("php is warm", Field{"seconds", took})
}

// firstPage asks for the front page once php-fpm listens.
func firstPage(ctx context.Context, socket string, o origin) (answer, error) {
	params := map[string]string{
		"SCRIPT_FILENAME": task.Core + "/index.php", "SCRIPT_NAME": "/index.php", "DOCUMENT_ROOT": task.Core,
		"DOCUMENT_URI": "/index.php", "REQUEST_URI": "/", "REDIRECT_STATUS": "200",
		"SERVER_NAME": o.Host, "SERVER_PORT": o.PortNumber(), "REQUEST_SCHEME": o.Scheme,
		"HTTP_HOST": o.Address(), "HTTP_X_FORWARDED_PROTO": o.Scheme,
		"HTTP_USER_AGENT": "platen-agent", "HTTP_X_REQUEST_ID": "warm-up." + hostname(),
	}
	if o.Scheme == "https" {
		params["HTTPS"] = "on"
	}
	for {
		a, err := fastcgi(ctx, socket, params)
		if err == nil || !notYet(err) {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "task"
	}
	return name
}
