package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"platen/internal/report"
	"platen/internal/topology"
)

// state reads what a stack's state holds, from the bucket. A stack that was never applied is
// empty; one that was not applied to its end lacks some outputs.
func (p *Place) state(ctx context.Context, t topology.Topology, stack string) (report.StackState, error) {
	found := report.StackState{Outputs: map[string]json.RawMessage{}}
	key := t.StateKey(stack)
	out, err := p.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: p.bucket(), Key: &key, ExpectedBucketOwner: p.owner()})
	if is(err, "NoSuchKey", "NoSuchBucket", "NotFound") {
		return found, nil
	}
	if err != nil {
		return found, p.refused(fmt.Errorf("read the state of the stack %s: %w", stack, err))
	}
	defer func() { _ = out.Body.Close() }()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return found, fmt.Errorf("read the state of the stack %s: %w", stack, err)
	}
	var state struct {
		Outputs map[string]struct {
			Value json.RawMessage `json:"value"`
		} `json:"outputs"`
		Resources []struct {
			Mode, Module, Type, Name string
			Instances                []json.RawMessage
		} `json:"resources"`
	}
	if err := json.Unmarshal(data, &state); err != nil {
		return found, fmt.Errorf("read the state of the stack %s: %w", stack, err)
	}
	for name, o := range state.Outputs {
		found.Outputs[name] = o.Value
	}
	for _, res := range state.Resources {
		if res.Mode != "managed" || len(res.Instances) == 0 {
			continue
		}
		address := res.Type + "." + res.Name
		if res.Module != "" {
			address = res.Module + "." + address
		}
		found.Resources = append(found.Resources, address)
	}
	return found, nil
}

// whole returns a stack's state when everything that others read of it is there, and else an
// error that names what is missing.
func (p *Place) whole(ctx context.Context, t topology.Topology, stack string) (report.StackState, error) {
	s, err := p.state(ctx, t, stack)
	if err != nil {
		return s, err
	}
	if missing := missingOutputs(s, stack); len(missing) > 0 {
		return s, report.Hint(fmt.Errorf("the stack %s does not say its %s: it was not applied to its end", stack, strings.Join(missing, ", ")),
			"run platen up %s: it makes that stack whole first", t.Env)
	}
	return s, nil
}

func missingOutputs(s report.StackState, stack string) []string {
	var missing []string
	for _, name := range topology.StackOutputs[stack] {
		if v, ok := s.Outputs[name]; !ok || string(v) == "null" {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	return missing
}

// outputs of the stacks that the SDK works with.
type dataOutputs struct {
	Database struct {
		Cluster       string `json:"cluster"`
		FinalSnapshot string `json:"final_snapshot"`
	}
	Sessions, Objects struct {
		ID string `json:"id"`
	}
	SecretARNs map[string]string
	Media      struct {
		Bucket string `json:"bucket"`
	}
	Files struct {
		ID string `json:"id"`
	}
	Vault, CopyVault string
}

type clusterOutputs struct{ Cluster, Group, Balancer, URL string }

// read takes outputs by name; a missing one leaves its value empty.
func read(s report.StackState, into map[string]any) error {
	for name, v := range into {
		if raw, ok := s.Outputs[name]; ok && string(raw) != "null" {
			if err := json.Unmarshal(raw, v); err != nil {
				return fmt.Errorf("read the output %s: %w", name, err)
			}
		}
	}
	return nil
}

func readData(s report.StackState) (o dataOutputs, err error) {
	err = read(s, map[string]any{
		"database": &o.Database, "sessions": &o.Sessions, "objects": &o.Objects, "secret_arns": &o.SecretARNs,
		"media": &o.Media, "files": &o.Files, "vault": &o.Vault, "copy_vault": &o.CopyVault,
	})
	if !holds(s, "aws_rds_cluster") {
		o.Database.Cluster = ""
	}
	if !holds(s, "aws_elasticache_replication_group") {
		o.Sessions.ID, o.Objects.ID = "", ""
	}
	return o, err
}

// holds tells whether a state holds a resource of the type. Outputs alone do not say it: a down
// that keeps the data leaves them in the state.
func holds(s report.StackState, kind string) bool {
	return slices.ContainsFunc(s.Resources, func(address string) bool {
		k, _ := kindOf(address)
		return k == kind
	})
}

func readCluster(s report.StackState) (o clusterOutputs, err error) {
	err = read(s, map[string]any{"cluster_name": &o.Cluster, "group_name": &o.Group, "balancer_arn": &o.Balancer, "url": &o.URL})
	if !holds(s, "aws_lb") {
		o.Balancer, o.URL = "", ""
	}
	if !holds(s, "aws_autoscaling_group") {
		o.Group = ""
	}
	if !holds(s, "aws_ecs_cluster") {
		o.Cluster = ""
	}
	return o, err
}
