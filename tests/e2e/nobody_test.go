package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"platen/tests/e2e/site"
)

// asNobody runs a program as a user who owns nothing but the folder, which is its home.
func asNobody(t *testing.T, home string, env []string, program string, args ...string) (exit int, output string) {
	t.Helper()
	const nobody = 65534
	for dir := home; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(home, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = home
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "USER=nobody"}, env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	said, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("run %s as nobody: %v", program, err)
	}
	return cmd.ProcessState.ExitCode(), string(said)
}

// copied is the program where everybody may run it.
func copied(t *testing.T, home string) string {
	t.Helper()
	binary, err := site.Binary()
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "platen")
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// Images are made without root and without an engine, and are the same to the bit.
func TestAnybodyBuildsTheSameImages(t *testing.T) {
	s := sharedSite(t)
	want := s.Run(t, 0, "image", "build", "valkey", "--json").Stdout
	home := t.TempDir()
	lock, err := os.ReadFile(filepath.Join(s.Dir, "platen.lock"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"platen.lock": string(lock), "platen.yaml": "platen: 1\nname: " + s.Name + "\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	exit, got := asNobody(t, home, []string{"DOCKER_HOST=unix:///nowhere.sock"}, copied(t, home), "image", "build", "valkey", "--json")
	if exit != 0 || !strings.Contains(got, want) {
		t.Errorf("exit %d:\n%s\nwant\n%s", exit, got, want)
	}
}

// Where it may not install an engine, scripts/engine (and so make up) prints the commands that do.
func TestMakeUpPrintsTheCommandsItMayNotRun(t *testing.T) {
	content, err := os.ReadFile("../../scripts/engine")
	if err != nil {
		t.Fatal(err)
	}
	script := func(env ...string) (int, string) {
		home := t.TempDir()
		// A client that finds no engine, whatever this machine has.
		client := filepath.Join(home, "docker")
		if err := os.WriteFile(client, []byte("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "engine"), content, 0o755); err != nil {
			t.Fatal(err)
		}
		return asNobody(t, home, append(env, "PATH="+home+":"+os.Getenv("PATH")), "/bin/bash", filepath.Join(home, "engine"))
	}
	exit, said := script()
	for _, want := range []string{"apt-get install --yes docker.io", "systemctl start docker", "setsid dockerd", "run this command again"} {
		if exit != 1 || !strings.Contains(said, want) {
			t.Errorf("exit %d, no %q in:\n%s", exit, want, said)
		}
	}
	// Somebody else's engine is not started from here.
	if exit, said = script("DOCKER_HOST=tcp://192.0.2.1:2375"); exit != 1 || !strings.Contains(said, "192.0.2.1") || strings.Contains(said, "apt-get") {
		t.Errorf("exit %d:\n%s", exit, said)
	}
}
