package aws

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// services are IAM's names of the services of Terraform's resources, by the beginning of their
// types; the longest that fits holds.
var services = map[string]string{
	"aws_acm_": "acm", "aws_appautoscaling_": "application-autoscaling", "aws_autoscaling_": "autoscaling", "aws_backup_": "backup",
	"aws_cloudfront_": "cloudfront", "aws_cloudwatch_event_": "events", "aws_cloudwatch_log_": "logs", "aws_cloudwatch_": "cloudwatch",
	"aws_db_": "rds", "aws_rds_": "rds", "aws_ecr_": "ecr", "aws_ecs_": "ecs", "aws_efs_": "elasticfilesystem", "aws_elasticache_": "elasticache",
	"aws_iam_": "iam", "aws_kms_": "kms", "aws_lb": "elasticloadbalancing", "aws_route53_": "route53", "aws_s3_": "s3",
	"aws_secretsmanager_": "secretsmanager", "aws_sns_": "sns", "aws_wafv2_": "wafv2",
	"aws_default_security_group": "ec2", "aws_eip": "ec2", "aws_flow_log": "ec2", "aws_internet_gateway": "ec2", "aws_launch_template": "ec2", "aws_nat_gateway": "ec2",
	"aws_route": "ec2", "aws_security_group": "ec2", "aws_subnet": "ec2", "aws_vpc": "ec2",
}

var resourceType = regexp.MustCompile(`(?m)^resource "(aws_[a-z0-9_]+)"`)

// Who is refused by AWS is sent to the list in docs/aws.md.
func TestThePageListsThePermissionsOfEveryService(t *testing.T) {
	page, err := os.ReadFile("../../docs/aws.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(page), "\n## Permissions\n")
	list, _, _ = strings.Cut(list, "\n## ")
	files, err := filepath.Glob("../../terraform/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	inside, err := filepath.Glob("../../terraform/*/*/*.tf")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, file := range append(files, inside...) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range resourceType.FindAllStringSubmatch(string(text), -1) {
			types[m[1]] = true
		}
	}
	if len(types) < 50 {
		t.Fatalf("only %d types of resources were found", len(types))
	}
	for kind := range types {
		prefix := ""
		for p := range services {
			if strings.HasPrefix(kind, p) && len(p) > len(prefix) {
				prefix = p
			}
		}
		if service := services[prefix]; service == "" {
			t.Errorf("%s: of which service? add it here and to docs/aws.md", kind)
		} else if !strings.Contains(list, "`"+service+":") {
			t.Errorf("%s: docs/aws.md lists no permissions of %s", kind, service)
		}
	}
}
