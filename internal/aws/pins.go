package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"

	"platen/internal/release"
	"platen/internal/report"
	"platen/internal/topology"
)

// pinsKey is the record of what was looked up once.
const pinsKey = "aws.json"

// pins are the environment's: from the record, and looked up where it says nothing yet. changed
// tells that the record should be written; etag is its.
func (p *Place) pins(ctx context.Context, t topology.Topology) (pins topology.Pins, etag string, changed bool, err error) {
	if pins, etag, err = p.recordedPins(ctx); err != nil {
		return pins, etag, false, err
	}
	if len(pins.Zones) == 0 {
		if pins.Zones, err = p.zones(ctx, t); err != nil {
			return pins, etag, false, err
		}
		changed = true
	}
	if arch := topology.Architecture(t.AWS.Hosts.Type); pins.Image == "" || pins.For != arch {
		if pins.Image, _, err = p.newestImage(ctx, arch); err != nil {
			return pins, etag, false, err
		}
		pins.For, changed = arch, true
	}
	if t.AWS.Domain != "" && pins.Zone == "" {
		if pins.Zone, err = p.hostedZone(ctx, t.AWS.Domain); err != nil {
			return pins, etag, false, err
		}
		changed = true
	}
	if to := t.AWS.Backups.CopyTo; to != pins.CopyTo {
		held := false
		if pins.CopyTo != "" {
			if held, err = p.holdsCopies(ctx, t); err != nil {
				return pins, etag, false, err
			}
		}
		if !held {
			pins.CopyTo, changed = to, true
		}
	}
	return pins, etag, changed, nil
}

// holdsCopies tells whether a vault or a key in a second region is in the states.
func (p *Place) holdsCopies(ctx context.Context, t topology.Topology) (bool, error) {
	for stack, address := range map[string]string{topology.StackShared: "aws_kms_key.copies", topology.StackData: "aws_backup_vault.copies"} {
		s, err := p.state(ctx, t, stack)
		if err != nil || slices.Contains(s.Resources, address) {
			return true, err
		}
	}
	return false, nil
}

// movesCopies refuses another second region while there are copies in the first: Terraform would
// look for them in the new one, find none, and forget them.
func movesCopies(t topology.Topology, pins topology.Pins) error {
	to := t.AWS.Backups.CopyTo
	if to == "" || to == pins.CopyTo {
		return nil
	}
	return report.Hint(fmt.Errorf("backups.copy_to: %s has its copies in %s, and they do not move to %s: nothing was touched", t.Env, pins.CopyTo, to),
		"write copy_to: %s again; or take it out: then no more copies are made, and those there go when their time is up", pins.CopyTo)
}

// keepPins looks up what is missing and records it.
func (p *Place) keepPins(ctx context.Context, t topology.Topology) (topology.Pins, error) {
	pins, etag, changed, err := p.pins(ctx, t)
	if err != nil || !changed {
		return pins, err
	}
	return pins, p.putPins(ctx, pins, etag)
}

// recordedPins are those of the record; none when there is no record yet.
func (p *Place) recordedPins(ctx context.Context) (pins topology.Pins, etag string, err error) {
	data, etag, err := p.Get(ctx, pinsKey)
	if errors.Is(err, release.ErrNotFound) {
		return pins, "", nil
	}
	if err != nil {
		return pins, "", err
	}
	if err := json.Unmarshal(data, &pins); err != nil {
		return pins, etag, fmt.Errorf("read the record %s: %w", pinsKey, err)
	}
	return pins, etag, nil
}

func (p *Place) putPins(ctx context.Context, pins topology.Pins, etag string) error {
	data, err := json.MarshalIndent(pins, "", "  ")
	if err != nil {
		return err
	}
	_, err = p.Put(ctx, pinsKey, append(data, '\n'), etag)
	return err
}

// zones are three availability zones that offer the hosts' type.
func (p *Place) zones(ctx context.Context, t topology.Topology) ([]string, error) {
	available, err := p.ec2.zones(ctx)
	if err != nil {
		return nil, report.Hint(fmt.Errorf("list the zones of %s: %w", t.AWS.Region, err), "check that region: is one that the account may use")
	}
	names, err := p.ec2.offers(ctx, t.AWS.Hosts.Type)
	if err != nil {
		return nil, fmt.Errorf("see in which zones %s is offered: %w", t.AWS.Hosts.Type, err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(available, name) })
	slices.Sort(names)
	if len(names) < topology.ZonesWanted {
		return nil, report.Hint(fmt.Errorf("%s is offered in %d zones of %s (%s), and %d are wanted", t.AWS.Hosts.Type, len(names), t.AWS.Region,
			strings.Join(names, ", "), topology.ZonesWanted), "take another hosts.type, or another region")
	}
	return names[:topology.ZonesWanted], nil
}

// newestImage is the ECS-optimised Amazon Linux 2023 that AWS recommends today, with its name,
// which carries a date; the name is "" where AWS does not say it.
func (p *Place) newestImage(ctx context.Context, arch string) (id, name string, err error) {
	prefix := "/aws/service/ecs/optimized-ami/amazon-linux-2023/"
	if arch == "arm64" {
		prefix += "arm64/"
	}
	parameter := prefix + "recommended/image_id"
	out, err := p.ssm.GetParameters(ctx, &ssm.GetParametersInput{Names: []string{parameter, prefix + "recommended/image_name"}})
	if err != nil {
		return "", "", fmt.Errorf("find the ECS-optimised image for %s (SSM parameter %s): %w", arch, parameter, err)
	}
	for _, found := range out.Parameters {
		if aws.ToString(found.Name) == parameter {
			id = aws.ToString(found.Value)
		} else {
			name = aws.ToString(found.Value)
		}
	}
	if id == "" {
		return "", "", fmt.Errorf("find the ECS-optimised image for %s: there is no SSM parameter %s in %s", arch, parameter, p.region)
	}
	return id, name, nil
}

// hostedZone is the public zone in Route 53 with the longest name that the domain ends in.
func (p *Place) hostedZone(ctx context.Context, domain string) (string, error) {
	best, id := "", ""
	pages := route53.NewListHostedZonesPaginator(p.route53, &route53.ListHostedZonesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", fmt.Errorf("list the hosted zones: %w", err)
		}
		for _, z := range page.HostedZones {
			if z.Config != nil && z.Config.PrivateZone {
				continue
			}
			if name := zoneName(z); (domain == name || strings.HasSuffix(domain, "."+name)) && len(name) > len(best) {
				best, id = name, strings.TrimPrefix(aws.ToString(z.Id), "/hostedzone/")
			}
		}
	}
	if id == "" {
		return "", report.Hint(fmt.Errorf("no public hosted zone in this account holds %s", domain),
			"make one in Route 53 and have the registrar name its servers, or take domain: out")
	}
	return id, nil
}

func zoneName(z route53types.HostedZone) string { return strings.TrimSuffix(aws.ToString(z.Name), ".") }
