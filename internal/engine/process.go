package engine

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ThisProcess describes the running program for the lock.
func ThisProcess() Process {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	name := "uid " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return Process{
		Host: host, User: name, Command: strings.Join(append([]string{filepath.Base(os.Args[0])}, os.Args[1:]...), " "),
		PID: os.Getpid(), Started: started(os.Getpid()), Alive: alive,
	}
}

// alive tells whether the process still runs and is the one that started then.
func alive(pid int, when string) bool {
	if pid <= 0 {
		return false
	}
	// EPERM means that it runs, as somebody else.
	if err := syscall.Kill(pid, 0); err != nil && err != syscall.EPERM {
		return false
	}
	return when == "" || started(pid) == when
}

// started is the boot and the tick in which a process began, or "" where the kernel does not
// say. After a reboot both the numbers and the ticks begin again: hence the boot.
func started(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The second field is the name in parentheses, which may hold spaces and parentheses.
	_, rest, ok := cutLast(string(stat), ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return ""
	}
	if fields[0] == "Z" {
		return "" // nobody has waited for it, but it is dead
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + "/" + fields[19]
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
