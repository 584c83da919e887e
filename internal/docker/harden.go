package docker

import (
	"fmt"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"platen/internal/topology"
)

const mib = 1 << 20

// service is a container of the environment that may do nothing but its work: no capability,
// no new privileges, no writable file but what is mounted, no more memory and processes than
// it needs, and as much log as one looks at.
func service(t topology.Topology, name, tier, image string, uid int, limits topology.Container) types.ServiceConfig {
	l := labels(t)
	l[labelTier] = tier
	never := false
	return types.ServiceConfig{
		Name:          name,
		ContainerName: t.Project + "-" + name,
		Image:         image,
		PullPolicy:    types.PullPolicyNever, // images come from Publish
		User:          fmt.Sprintf("%d:%d", uid, uid),
		Labels:        l,

		ReadOnly:    true,
		CapDrop:     []string{"ALL"},
		SecurityOpt: []string{"no-new-privileges:true"},
		Tmpfs:       types.StringList{shared("/tmp", 64*mib)},
		Init:        &never, // PID 1 is our agent, nginx or HAProxy, which reap

		MemLimit:     types.UnitBytes(limits.Memory),
		MemSwapLimit: types.UnitBytes(limits.Memory), // memory and swap: none of it is swap
		CPUShares:    int64(limits.CPU * 1024),       // a share where it is scarce, as on ECS; no ceiling
		PidsLimit:    128,

		Restart:         types.RestartPolicyAlways,
		StopGracePeriod: seconds(10),
		Logging: &types.LoggingConfig{
			Driver:  "json-file",
			Options: types.Options{"max-size": "10m", "max-file": "3"},
		},
	}
}

// health is Docker's own check, for docker ps and for people. It runs seldom: twelve such
// checks a second took a quarter of two cores. Waiting is done by probes of our own.
func health(command ...string) *types.HealthCheckConfig {
	interval, timeout := types.Duration(10*time.Second), types.Duration(5*time.Second)
	start := types.Duration(time.Minute)
	retries := uint64(3)
	return &types.HealthCheckConfig{
		Test:     append(types.HealthCheckTest{"CMD"}, command...),
		Interval: &interval, Timeout: &timeout, StartPeriod: &start, Retries: &retries,
	}
}

// shared is a folder in memory for every user, as /tmp is.
func shared(at string, bytes int64) string {
	return fmt.Sprintf("%s:size=%d,mode=1777,noexec,nosuid,nodev", at, bytes)
}

// private is a folder in memory for one user.
func private(at string, uid int, bytes int64) string {
	return fmt.Sprintf("%s:size=%d,mode=0700,uid=%d,gid=%d,noexec,nosuid,nodev", at, bytes, uid, uid)
}

// mount mounts a volume as it is: Docker would else copy into an empty one what the image has
// at that path, which no network file system does.
func mount(t topology.Topology, volume, at string, readOnly bool) types.ServiceVolumeConfig {
	return types.ServiceVolumeConfig{
		Type: types.VolumeTypeVolume, Source: volumeKey(t, volume), Target: at, ReadOnly: readOnly,
		Volume: &types.ServiceVolumeVolume{NoCopy: true},
	}
}

func on(network string) map[string]*types.ServiceNetworkConfig {
	return map[string]*types.ServiceNetworkConfig{network: {}}
}

func after(condition string) types.ServiceDependency {
	return types.ServiceDependency{Condition: condition, Required: true}
}
