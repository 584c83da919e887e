package php_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"platen/internal/task"
)

// apcu is what the processes of a task share.
var apcu = []string{"-d", "apc.enable_cli=1"}

func TestObjectCacheAPI(t *testing.T) { script(t, "/tests/object-cache-api.php") }

func TestObjectCacheRaces(t *testing.T) { script(t, "/tests/object-cache-races.php") }

func TestObjectCacheFreshness(t *testing.T) { script(t, "/tests/object-cache-freshness.php") }

func TestObjectCachePrefetch(t *testing.T) {
	script(t, append(apcu, "/tests/object-cache-prefetch.php")...)
}

// TestOptionsOfFourTasks is the issue's: 200 concurrent option updates over four tasks, no lost
// update, no stale read. WordPress' own functions, each task a container.
func TestOptionsOfFourTasks(t *testing.T) {
	mustInstall(t)
	script(t, "/tests/object-cache-options.php", "prepare")
	outs, errs := make([]string, 4), make([]error, 4)
	var wg sync.WaitGroup
	for i := range outs {
		wg.Go(func() {
			outs[i], errs[i] = shared.job("", "php", "/tests/object-cache-options.php", "task", fmt.Sprint(i))
		})
	}
	wg.Wait()
	for i := range outs {
		if errs[i] != nil || !strings.HasPrefix(outs[i], "ok ") {
			t.Errorf("task %d: %v\n%s", i, errs[i], outs[i])
		}
	}
	script(t, "/tests/object-cache-options.php", "check")
}

// TestObjectCacheCluster runs one shard in cluster mode, a primary and a replica, as the agent
// configures them. The endpoint's name leads to either.
func TestObjectCacheCluster(t *testing.T) {
	l := *shared
	nodes := []string{"shard-1", "shard-2"}
	// By way-in the endpoint leads to the second, which begins as the replica.
	aliases := map[string][]string{"shard-1": {"--network-alias=shard"}, "shard-2": {"--network-alias=shard", "--network-alias=way-in"}}
	init := task.Init{Master: "/init/master"}
	for _, node := range nodes {
		init.Folders = append(init.Folders, task.Folder{
			Path: "/init/" + node, UID: task.ValkeyUID, Mode: 0o500, Hosts: []string{node, "shard", "way-in"},
			Secrets: []string{task.SecretObjects, task.FileCA, task.FileCert, task.FileKey},
		})
	}
	fill := l.container("init-shard", "--user=0:0", "--cap-add=CHOWN", "--cap-add=DAC_OVERRIDE", "--cap-add=FOWNER", "--rm",
		env(task.EnvInit, init), "--volume="+l.volume("master")+":"+init.Master)
	for _, node := range nodes {
		if _, err := docker(nil, "volume", "create", "--label", l.label(), l.volume(node)); err != nil {
			t.Fatal(err)
		}
		fill = append(fill, "--volume="+l.volume(node)+":/init/"+node)
	}
	if _, err := docker(nil, append(fill, l.jobs, "init")...); err != nil {
		t.Fatal(err)
	}
	image, err := docker(nil, "inspect", "--format={{.Config.Image}}", l.name+"-objects")
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		run := l.container(node, append(aliases[node], "--detach", "--user="+fmt.Sprint(task.ValkeyUID), "--tmpfs=/var/lib/valkey:uid="+fmt.Sprint(task.ValkeyUID),
			env(task.EnvCache, task.Cache{Node: node, Role: "objects", Policy: "allkeys-lru", Memory: 64 << 20, Cluster: true}),
			"--volume="+l.volume(node)+":"+task.Secrets+":ro", strings.TrimSpace(image), "valkey")...)
		if _, err := docker(nil, run...); err != nil {
			t.Fatal(err)
		}
	}
	for _, node := range nodes {
		if err := l.wait(node, "valkey"); err != nil {
			t.Fatal(err)
		}
	}
	l.config.Objects = task.Store{Address: "shard:6379", Cluster: true}
	out, err := l.job("", append(append([]string{"php"}, apcu...), "/tests/object-cache-cluster.php")...)
	if err != nil || !strings.HasPrefix(out, "ok ") {
		for _, node := range nodes {
			logs, _ := docker(nil, "logs", "--tail=20", l.name+"-"+node)
			out += "\n" + node + ":\n" + logs
		}
		t.Fatalf("%v\n%s", err, out)
	}
}
