# The firewall stands where visitors come in: before CloudFront, whose web ACLs live in us-east-1,
# else before the balancer. Two calls of one module, because a provider cannot be a variable.

locals {
  # The site's own files and pages: what a person may do in five minutes from one address.
  firewall = {
    name           = var.name
    log_days       = var.log_days
    login_attempts = 50 # in five minutes and from one address
  }
}

module "firewall" {
  for_each  = var.cdn ? toset(["cdn"]) : toset([])
  source    = "./firewall"
  providers = { aws = aws.us_east_1 }

  name           = "${local.firewall.name}-cdn"
  scope          = "CLOUDFRONT"
  log_days       = local.firewall.log_days
  login_attempts = local.firewall.login_attempts
}

module "firewall_balancer" {
  for_each = var.cdn ? toset([]) : toset(["balancer"])
  source   = "./firewall"

  name           = local.firewall.name
  scope          = "REGIONAL"
  log_days       = local.firewall.log_days
  login_attempts = local.firewall.login_attempts
}

resource "aws_wafv2_web_acl_association" "balancer" {
  for_each = module.firewall_balancer

  resource_arn = local.cluster.balancer_arn
  web_acl_arn  = each.value.arn
}
