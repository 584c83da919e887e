# The network, its groups, keys and repositories, without AWS: terraform test.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_ec2_managed_prefix_list" {
    defaults = { id = "pl-0123456789abcdef0" }
  }
}
mock_provider "aws" {
  alias = "copies"
}

variables {
  account     = "123456789012"
  region      = "eu-west-1"
  site        = "blog"
  environment = "dev"
  name        = "blog-dev"
  tags        = { Creator = "web-team" }
  log_days    = 3
  cdn         = false
  copy_to     = ""
  mail_port   = 587
  network = {
    cidr  = "10.20.0.0/16"
    nat   = "single"
    zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  }
}

run "dev" {
  command = plan

  assert {
    condition     = length(aws_subnet.public) == 3 && length(aws_subnet.private) == 3 && length(aws_subnet.database) == 3
    error_message = "Want three public, three private and three database subnets."
  }
  assert {
    condition     = alltrue([for zone, private in aws_subnet.private : tonumber(split("/", private.cidr_block)[1]) < tonumber(split("/", aws_subnet.public[zone].cidr_block)[1]) && tonumber(split("/", private.cidr_block)[1]) < tonumber(split("/", aws_subnet.database[zone].cidr_block)[1])])
    error_message = "Private subnets are not the widest."
  }
  assert {
    condition     = !anytrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch])
    error_message = "A subnet gives public addresses away."
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.private) == 3
    error_message = "Want one NAT gateway, and a route to it in each zone."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 0
    error_message = "Interface endpoints do not pay with a single NAT gateway."
  }
  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.visitors) == ["443", "80"] && length(aws_vpc_security_group_ingress_rule.cloudfront) == 0
    error_message = "Without a CDN visitors come by 80 and 443."
  }
  assert {
    condition     = [for name, rule in aws_vpc_security_group_ingress_rule.path : name if rule.from_port == 3306] == ["jobs-database", "web-database"]
    error_message = "Others than web tasks and jobs reach the database."
  }
  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.outside)) == toset(["web-80", "web-443", "web-587", "jobs-80", "jobs-443", "jobs-587", "hosts-443"])
    error_message = "More or less leaves the VPC than pages, mail and the hosts' agent."
  }
  assert {
    condition     = length(aws_kms_key.copies) == 0 && length(aws_kms_key.this) == 4
    error_message = "Want four keys and none in a second region."
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.enable_key_rotation])
    error_message = "A key is not rotated."
  }
  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push])
    error_message = "A repository takes another image under the same tag, or does not scan."
  }
  assert {
    condition     = alltrue([for policy in aws_ecr_lifecycle_policy.this : jsondecode(policy.policy).rules[0].selection.tagStatus == "untagged" && length(jsondecode(policy.policy).rules) == 1])
    error_message = "A tagged image, which a listed release may run, can expire."
  }
}

run "prod" {
  command = plan

  variables {
    environment = "prod"
    name        = "blog-prod"
    cdn         = true
    copy_to     = "eu-central-1"
    mail_port   = 0
    network = {
      cidr  = "10.30.0.0/16"
      nat   = "per-zone"
      zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
    }
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_vpc_endpoint.interface) == 4
    error_message = "Want a NAT gateway a zone, and the endpoints that outlive one."
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.visitors) == 0 && length(aws_vpc_security_group_ingress_rule.cloudfront) == 1
    error_message = "With a CDN the balancer answers others than CloudFront."
  }
  assert {
    condition     = keys(aws_kms_key.copies) == ["eu-central-1"]
    error_message = "Copies have no key in the second region."
  }
  assert {
    condition     = !contains(keys(aws_vpc_security_group_egress_rule.outside), "web-0")
    error_message = "Without a mail server there is a rule for it."
  }
}

# The subnets of every width that network.cidr may have: apart from each other, inside of the
# range, and as wide as AWS wants them.
run "narrow_23" {
  command = plan
  variables {
    network = { cidr = "10.20.2.0/23", nat = "single", zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  assert {
    condition     = length(distinct(local.blocks)) == 9 && cidrhost(local.blocks[8], 15) == "10.20.3.79"
    error_message = "The nine subnets of a /23 are not one after the other."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : tonumber(split("/", subnet.cidr_block)[1]) <= 27])
    error_message = "A load balancer's subnet is narrower than /27."
  }
}

run "narrow_24" {
  command = plan
  variables {
    network = { cidr = "10.20.2.0/24", nat = "single", zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  assert {
    condition     = length(distinct(local.blocks)) == 9 && alltrue([for block in local.blocks : tonumber(split("/", block)[1]) <= 28])
    error_message = "A /24 does not hold nine subnets that AWS takes."
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : tonumber(split("/", subnet.cidr_block)[1]) <= 27])
    error_message = "A load balancer's subnet is narrower than /27."
  }
}

run "no_overlap" {
  command = plan
  variables {
    network = { cidr = "10.20.0.0/22", nat = "single", zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }
  assert {
    # Two ranges overlap when the wider one's prefix of the narrower one's first address is its own.
    condition = alltrue(flatten([
      for i, a in local.blocks : [
        for j, b in local.blocks : cidrsubnet("${cidrhost(b, 0)}/${min(tonumber(split("/", a)[1]), tonumber(split("/", b)[1]))}", 0, 0) != cidrsubnet("${cidrhost(a, 0)}/${min(tonumber(split("/", a)[1]), tonumber(split("/", b)[1]))}", 0, 0) if i != j
      ]
    ]))
    error_message = "Two subnets overlap."
  }
}

# All at once, as a person with a broken file gets them.
run "refuses" {
  command = plan
  variables {
    name     = "a-site-whose-name-is-long"
    copy_to  = "eu-west-1"
    log_days = 10
    network  = { cidr = "10.0.0.0/12", nat = "none", zones = ["us-west-1a", "us-west-1b"] }
  }
  expect_failures = [var.name, var.copy_to, var.log_days, var.network]
}
