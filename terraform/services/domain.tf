# The site's name. It leads to CloudFront where there is one, else to the balancer.

locals {
  domains = var.domain.name == "" ? toset([]) : toset([var.domain.name])
  cdn     = var.cdn ? toset([var.domain.name]) : toset([])

  # CloudFront speaks IPv6 with visitors; the VPC is IPv4.
  addresses = {
    for type in var.domain.name == "" ? [] : var.cdn ? ["A", "AAAA"] : ["A"] : type => (
      var.cdn
      ? { name = one(values(aws_cloudfront_distribution.site)[*].domain_name), zone_id = one(values(aws_cloudfront_distribution.site)[*].hosted_zone_id) }
      : { name = local.cluster.balancer_dns_name, zone_id = local.cluster.balancer_zone_id }
    )
  }
}

resource "aws_route53_record" "site" {
  for_each = local.addresses

  zone_id = var.domain.zone_id
  name    = var.domain.name
  type    = each.key

  alias {
    name                   = each.value.name
    zone_id                = each.value.zone_id
    evaluate_target_health = false # there is no second place to send visitors to
  }
}

# CloudFront's certificate. Its validation record is the one of the balancer's certificate, which
# has the same name in the same account: the cluster stack made it.
resource "aws_acm_certificate" "cdn" {
  for_each = local.cdn
  provider = aws.us_east_1

  domain_name       = each.key
  validation_method = "DNS"
  tags              = { Name = "${var.name}-cdn" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_acm_certificate_validation" "cdn" {
  for_each = aws_acm_certificate.cdn
  provider = aws.us_east_1

  certificate_arn = each.value.arn
}
