package agent

import (
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary plays the processes of a container: the agent as init, and php-fpm.
const roleVariable = "AGENT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVariable) {
	case "":
		os.Exit(m.Run())
	case "init":
		playInit(os.Args[1], os.Args[2])
	case "fpm":
		playFPM(os.Args[1])
	case "orphan":
		os.Exit(0)
	}
}

// playInit is the part of Web that needs no container: start, then wait for an end or drain.
func playInit(kind, marker string) {
	// What ends as nobody's child comes to us, as it does to a container's first process.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM)
	log := NewLog(os.Stdout)
	php, err := start([]string{"/proc/self/exe", kind}, []string{roleVariable + "=fpm"}, log)
	if err != nil {
		panic(err)
	}
	select {
	case status := <-php.exited:
		php.drained()
		os.Exit(status)
	case <-stop:
	}
	code, err := drain(php, stop, marker, 0, 200*time.Millisecond, log)
	if err != nil {
		panic(err)
	}
	os.Exit(code)
}

// playFPM is a php-fpm that ends on SIGQUIT, or does not, or crashes.
func playFPM(kind string) {
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	switch kind {
	case "crash":
		println("[22-Nov-2026 13:17:00] ERROR: gone")
		os.Exit(70)
	case "killed":
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			panic(err)
		}
	case "orphans":
		// A grandchild whose parent has ended: nobody but the init can reap it.
		child := exec.Command("/proc/self/exe")
		child.Env = []string{roleVariable + "=orphan"}
		if err := child.Start(); err != nil {
			panic(err)
		}
		if err := child.Process.Release(); err != nil {
			panic(err)
		}
		os.Exit(0)
	case "stubborn":
		println("ready")
		for range quit {
		}
	default:
		println("ready")
		<-quit
		println("ended")
	}
}
