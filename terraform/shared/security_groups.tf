# All security groups, tier to tier. They are here, and not beside what they protect, so that the
# cluster and the data can be made at the same time: neither needs the other's group.

locals {
  tiers = {
    balancer  = "The load balancer"
    hosts     = "EC2 instances that carry tasks"
    web       = "Web tasks: nginx and php"
    jobs      = "Jobs: cron, install, updates"
    database  = "Aurora"
    sessions  = "Session store"
    objects   = "Object cache"
    files     = "EFS"
    endpoints = "AWS services inside of the VPC"
  }

  # Who may speak to whom, on which port. Each is a rule at both ends.
  paths = {
    for path in [
      { from = "balancer", to = "web", port = 8080 }, # nginx
      { from = "web", to = "database", port = 3306 },
      { from = "web", to = "sessions", port = 6379 },
      { from = "web", to = "objects", port = 6379 },
      { from = "web", to = "files", port = 2049 },
      { from = "web", to = "endpoints", port = 443 },
      { from = "jobs", to = "database", port = 3306 },
      { from = "jobs", to = "sessions", port = 6379 },
      { from = "jobs", to = "objects", port = 6379 },
      { from = "jobs", to = "files", port = 2049 },
      { from = "jobs", to = "endpoints", port = 443 },
      # The ECS agent mounts EFS for a task: through the task's network where its volume plugin
      # can, else through the host's.
      { from = "hosts", to = "files", port = 2049 },
      # The agent pulls images, reads secrets and ships logs for its tasks.
      { from = "hosts", to = "endpoints", port = 443 },
    ] : "${path.from}-${path.to}" => path
  }

  # What may leave the VPC. WordPress asks wordpress.org and whatever plugins ask, by HTTP and
  # HTTPS; a mail server on the port that the site names. The hosts' agent speaks HTTPS alone.
  web_ports = toset([for port in [80, 443, var.mail_port] : tostring(port) if port != 0])
  outside = merge(
    { for port in local.web_ports : "web-${port}" => { from = "web", port = tonumber(port) } },
    { for port in local.web_ports : "jobs-${port}" => { from = "jobs", port = tonumber(port) } },
    { "hosts-443" = { from = "hosts", port = 443 } },
  )
}

resource "aws_security_group" "tier" {
  for_each = local.tiers

  name        = "${var.name}-${each.key}"
  description = each.value
  vpc_id      = aws_vpc.this.id
  tags        = { Name = "${var.name}-${each.key}" }
}

resource "aws_vpc_security_group_ingress_rule" "path" {
  for_each = local.paths

  security_group_id            = aws_security_group.tier[each.value.to].id
  referenced_security_group_id = aws_security_group.tier[each.value.from].id
  description                  = "From ${each.value.from}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "path" {
  for_each = local.paths

  security_group_id            = aws_security_group.tier[each.value.from].id
  referenced_security_group_id = aws_security_group.tier[each.value.to].id
  description                  = "To ${each.value.to}"
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "outside" {
  for_each = local.outside

  security_group_id = aws_security_group.tier[each.value.from].id
  description       = "To the internet, port ${each.value.port}"
  cidr_ipv4         = "0.0.0.0/0" # plugins ask hosts that nobody can list beforehand
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
}

# Without a CDN visitors come to the balancer.
resource "aws_vpc_security_group_ingress_rule" "visitors" {
  for_each = var.cdn ? toset([]) : toset(["80", "443"])

  security_group_id = aws_security_group.tier["balancer"].id
  description       = "Visitors, port ${each.key}"
  cidr_ipv4         = "0.0.0.0/0" # a public site
  ip_protocol       = "tcp"
  from_port         = tonumber(each.key)
  to_port           = tonumber(each.key)
}

# With one only CloudFront does, from AWS' list of its addresses. Somebody else's distribution
# shares them, but not this balancer: it is internal, and CloudFront reaches it by a VPC origin,
# which belongs to this account.
data "aws_ec2_managed_prefix_list" "cloudfront" {
  for_each = var.cdn ? toset(["origin-facing"]) : toset([])

  name = "com.amazonaws.global.cloudfront.${each.key}"
}

resource "aws_vpc_security_group_ingress_rule" "cloudfront" {
  for_each = data.aws_ec2_managed_prefix_list.cloudfront

  security_group_id = aws_security_group.tier["balancer"].id
  description       = "CloudFront"
  prefix_list_id    = each.value.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
