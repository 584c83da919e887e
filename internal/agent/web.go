package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"platen/internal/task"
)

// fpmGlob finds php-fpm, whose name carries its version in Debian.
const fpmGlob = "/usr/sbin/php-fpm*"

// WebSecrets are the secrets that a web task has.
var WebSecrets = []string{
	task.SecretDatabase, task.SecretSessions, task.SecretObjects,
	task.SecretSalt, task.SecretSiteToken, task.SecretMail,
	task.SecretCredentials, task.SecretKeyID, task.SecretKey,
}

// Web is the init of the php container: it renders, points the share to the image's drop-ins,
// starts php-fpm, once a minute runs cron and says how it goes, and drains when it is told to stop. The number is
// the exit status of the container: 0 after a drain, php-fpm's own when that ended by itself,
// so that whoever keeps the container alive starts it again.
func Web(ctx context.Context, stop <-chan os.Signal, log *Log) (int, error) {
	config, err := FromEnv[task.Config](task.EnvTask)
	if err != nil {
		return 1, err
	}
	secrets, err := ReadSecrets(task.Secrets, WebSecrets...)
	if err != nil {
		return 1, err
	}
	log.Hide(secrets)
	host, err := ThisHost()
	if err != nil {
		return 1, err
	}
	var counted bool
	if host.Scripts, counted = countScripts(mostScripts, countFor, task.Core, task.Platen); !counted {
		log.Warn("not all PHP files could be counted in time: OPcache is sized to those that were", Field{"files", host.Scripts})
	}
	// Before nginx.conf is there: nginx may be waiting for it.
	if err := beginWarming(warming); err != nil {
		return 1, err
	}
	files, err := RenderTask(config, secrets, host)
	if err != nil {
		return 1, err
	}
	follow, endFollowing := context.WithCancel(ctx)
	defer endFollowing()
	// Before nginx has its configuration: it finds the cache empty and watched.
	cache := newPageCache(cacheFolder, max(config.Nginx.Cache, mebibyte), log)
	if err := keepPages(follow, cache, changesSocket, log); err != nil {
		return 1, err
	}
	if err := WriteFiles(files); err != nil {
		return 1, err
	}
	// What an earlier life of this container left: it would keep the task out for ever.
	if err := os.Remove(draining); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 1, fmt.Errorf("end an earlier drain: %w", err)
	}
	if config.Content == "shared" {
		// A share that cannot be written serves pages all the same.
		if err := PlaceLocators(task.Content, filepath.Join(task.Platen, "drop-ins"), log); err != nil {
			log.Error("the share does not point to the image's drop-ins", Field{"error", err.Error()})
		}
	}
	if err := listenAsTheSite(ctx, config.URL, nginxAddress(), log); err != nil {
		// Pages are served all the same: WordPress alone cannot ask itself.
		log.Error("requests to the site's own address fail in this task", Field{"error", err.Error()})
	}
	said := &complaints{dir: complaintsFolder, log: log}
	if err := os.MkdirAll(said.dir, 0o700); err != nil {
		return 1, fmt.Errorf("make php's log: %w", err)
	}
	fpm, err := FindProgram(fpmGlob)
	if err != nil {
		return 1, err
	}
	php, err := start([]string{fpm, "--nodaemonize", "--fpm-config", fpmConf, "-c", PHPIni},
		[]string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C.UTF-8"}, log)
	if err != nil {
		return 1, err
	}
	log.Info("started php-fpm", Field{"pid", php.pid}, Field{"release", config.Release}, Field{"files", host.Scripts})
	// What php said last is worth the most. Twice: the first round only takes the files.
	defer func() { said.collect(); said.collect() }()

	// While requests are drained they still complain, and read plugins' code that changes.
	serving, endServing := context.WithCancel(ctx)
	defer endServing()
	go said.run(serving)
	if config.Content == "shared" {
		go followContent(serving, contentVersion, contentVersionCopy, followEvery, log)
	}

	cron, endCron := context.WithCancel(ctx)
	defer endCron()
	go runCron(cron, everyMinute(cron), cronSocket, log)
	samples := time.NewTicker(sampleEvery)
	defer samples.Stop()
	minutes := newMinute(secrets, log)
	minutes.cache = cache
	go minutes.run(cron, samples.C, everyMinute(cron))
	go func() {
		at, _ := originOf(config.URL) // RenderTask has read it already
		warm(cron, webSocket, at, log)
		if err := endWarming(warming); err != nil {
			log.Error("the task stays out", Field{"error", err.Error()})
		}
	}()

	select {
	case status := <-php.exited:
		php.drained()
		log.Error("php-fpm ended by itself", Field{"status", status})
		return max(status, 1), nil
	case <-stop:
	}
	endCron()
	return drain(php, stop, draining, time.Duration(config.Drain)*time.Second, time.Duration(config.PHP.Timeout+5)*time.Second, log)
}

// Drain marks the task as leaving: its health answers 404 from now on, and the balancer sends
// no new requests. Whoever stops a task may do this first.
func Drain() error {
	if err := os.WriteFile(draining, nil, 0o600); err != nil {
		return fmt.Errorf("begin to drain: %w", err)
	}
	return nil
}

// drain takes the task out of the balancer, waits until that has noticed, and lets php end its
// requests. A second signal cuts the wait short; php that does not end in time is killed.
func drain(php *process, stop <-chan os.Signal, marker string, wait, timeout time.Duration, log *Log) (int, error) {
	log.Info("draining", Field{"seconds", wait.Seconds()})
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		log.Error("the balancer cannot be told", Field{"error", err.Error()})
	}
	select {
	case <-time.After(wait):
	case <-stop:
	case status := <-php.exited:
		php.drained()
		log.Error("php-fpm ended by itself while draining", Field{"status", status})
		return max(status, 1), nil
	}
	if err := php.signal(syscall.SIGQUIT); err != nil {
		return 1, err
	}
	select {
	case <-php.exited:
		log.Info("php-fpm has ended its requests")
	case <-time.After(timeout):
		log.Warn("php-fpm did not end in time and is killed", Field{"seconds", timeout.Seconds()})
		if err := php.signal(syscall.SIGKILL); err != nil {
			return 1, err
		}
		<-php.exited
	}
	php.drained()
	return 0, nil
}

// FindProgram returns the last program that a pattern finds: Debian's names carry versions.
func FindProgram(pattern string) (string, error) {
	found, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("no program at %s: the image lacks it", pattern)
	}
	return found[len(found)-1], nil
}
