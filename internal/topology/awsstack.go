package topology

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
)

// Names of the stacks, in the order in which a person reads them.
const (
	StackShared   = "shared"
	StackCluster  = "cluster"
	StackData     = "data"
	StackServices = "services"
)

// Stacks lists the stacks: each comes after those it needs.
var Stacks = []string{StackShared, StackCluster, StackData, StackServices}

// StackNeeds are the stacks whose outputs a stack reads. Cluster and data need nothing of
// each other, so they are made side by side.
var StackNeeds = map[string][]string{
	StackShared:   {},
	StackCluster:  {StackShared},
	StackData:     {StackShared},
	StackServices: {StackShared, StackCluster, StackData},
}

// Stack is one Terraform root with its own state, ready to run: its files and nothing else
// are needed to plan it.
type Stack struct {
	Name  string
	Needs []string
	// Files are the root's, by name: the HCL, the backend, the variables of the environment.
	Files map[string][]byte
}

// VariablesFile is the name of an environment's variables in a stack's folder.
func VariablesFile(env string) string { return "terraform." + env + ".tfvars.json" }

// BackendFile holds where a stack's state lies. Its name makes Terraform put it in the place
// of the empty backend block of the stack.
const BackendFile = "backend_override.tf.json"

// ProviderLock is Terraform's record of the providers' checksums, in a stack's folder.
const ProviderLock = ".terraform.lock.hcl"

// LocksEveryPlatform tells whether a provider lock lets Terraform install the provider on whatever
// machine: it then holds the registry's checksums (zh:) of all platforms' archives. One with the
// checksum (h1:) of a single platform refuses the genuine provider of every other.
func LocksEveryPlatform(lock []byte) bool { return bytes.Contains(lock, []byte(`"zh:`)) }

// RenderStacks reads the stacks out of source (a folder each) and adds backend and variables:
// what Terraform runs on, and what `platen render` writes.
func (t Topology) RenderStacks(source fs.FS, variables map[string]any) ([]Stack, error) {
	stacks := make([]Stack, 0, len(Stacks))
	for _, name := range Stacks {
		files, err := readFolder(source, name)
		if err != nil {
			return nil, fmt.Errorf("read the stack %s: %w", name, err)
		}
		backend, err := marshal(map[string]any{"terraform": map[string]any{"backend": map[string]any{"s3": t.Backend(name)}}})
		if err != nil {
			return nil, fmt.Errorf("write the backend of %s: %w", name, err)
		}
		values, err := marshal(variables[name])
		if err != nil {
			return nil, fmt.Errorf("write the variables of %s: %w", name, err)
		}
		files[BackendFile] = backend
		files[VariablesFile(t.Env)] = values
		stacks = append(stacks, Stack{Name: name, Needs: slices.Clone(StackNeeds[name]), Files: files})
	}
	return stacks, nil
}

// readFolder reads a stack's own files. Tests of the stack stay behind: they lie in a folder.
func readFolder(source fs.FS, name string) (map[string][]byte, error) {
	entries, err := fs.ReadDir(source, name)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		path := name + "/" + entry.Name()
		if entry.IsDir() {
			if entry.Name() == "tests" || entry.Name() == ".terraform" {
				continue
			}
			inside, err := readFolder(source, path)
			if err != nil {
				return nil, err
			}
			for inner, data := range inside {
				files[entry.Name()+"/"+inner] = data
			}
			continue
		}
		data, err := fs.ReadFile(source, path)
		if err != nil {
			return nil, err
		}
		files[entry.Name()] = data
	}
	return files, nil
}

func marshal(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	return append(data, '\n'), err
}

// FileNames are the names of a stack's files, sorted.
func (s Stack) FileNames() []string { return slices.Sorted(maps.Keys(s.Files)) }

// StackRun says how a stack is planned.
type StackRun struct {
	Look    bool     // nothing is kept and no lock is taken; says what changes in each resource
	Detail  bool     // of a look: Terraform's own text too
	Destroy bool     // to nothing
	Targets []string // addresses; all when empty
}

// StackOutputs are what a stack hands on when it was applied to its end.
var StackOutputs = map[string][]string{
	StackShared: {
		"vpc_id", "vpc_cidr", "zones", "public_subnet_ids", "private_subnet_ids", "database_subnet_ids", "security_group_ids",
		"repository_urls", "repository_arns", "key_arns", "copy_key_arn", "nat_addresses",
	},
	StackCluster: {
		"cluster_name", "cluster_arn", "capacity_provider", "group_name", "architecture", "balancer_arn", "balancer_arn_suffix",
		"balancer_dns_name", "balancer_zone_id", "target_group_arn", "target_group_arn_suffix", "log_bucket", "url",
	},
	StackData:     {"database", "sessions", "objects", "secret_arns", "files", "media", "vault", "copy_vault"},
	StackServices: {"web", "jobs", "init", "run", "url", "config", "topic_arn", "dashboard", "distribution_id", "log_groups"},
}
