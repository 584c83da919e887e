# The balancer's certificate. CloudFront's, in us-east-1, has the same names and so the same
# validation record: it is made here and nowhere else.

locals {
  # Keyed by the name that we know, not by what ACM answers: a plan knows it beforehand.
  domains = var.domain.name == "" ? toset([]) : toset([var.domain.name])
}

resource "aws_acm_certificate" "site" {
  for_each = local.domains

  domain_name       = each.key
  validation_method = "DNS"
  tags              = { Name = var.name }

  lifecycle {
    create_before_destroy = true # the listener needs one at any time
  }
}

locals {
  validation = {
    for domain, certificate in aws_acm_certificate.site :
    domain => one([for option in certificate.domain_validation_options : option if option.domain_name == domain])
  }
}

resource "aws_route53_record" "validation" {
  for_each = local.domains

  zone_id         = var.domain.zone_id
  name            = local.validation[each.key].resource_record_name
  type            = local.validation[each.key].resource_record_type
  records         = [local.validation[each.key].resource_record_value]
  ttl             = 60
  allow_overwrite = true # an environment that was taken down may have left the same
}

resource "aws_acm_certificate_validation" "site" {
  for_each = local.domains

  certificate_arn         = aws_acm_certificate.site[each.key].arn
  validation_record_fqdns = [aws_route53_record.validation[each.key].fqdn]
}
