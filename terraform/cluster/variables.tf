variable "account" {
  description = "The twelve digits of the AWS account. The provider refuses to work in any other."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "An account is twelve digits."
  }
}

variable "region" {
  description = "The AWS region."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region looks like eu-west-1."
  }
}

variable "site" {
  description = "The site's name, for tags and for what WordPress is told."
  type        = string
  nullable    = false
  validation {
    condition     = var.site != ""
    error_message = "The site has no name."
  }
}

variable "environment" {
  description = "The environment's name. It is the Terraform workspace too, so that nobody applies one environment's variables to another's state."
  type        = string
  nullable    = false
  validation {
    # terraform test knows no workspace but default.
    condition     = contains([var.environment, "default"], terraform.workspace)
    error_message = "These are the variables of ${var.environment}, and the workspace is ${terraform.workspace}: terraform workspace select ${var.environment}."
  }
}

variable "name" {
  description = "What every AWS name begins with: SITE-ENVIRONMENT, shortened."
  type        = string
  nullable    = false
  validation {
    # Load balancers and target groups take 32 characters, of which the longest ending takes 8.
    # ElastiCache takes no double hyphen and none at the end.
    condition     = length(var.name) <= 24 && can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name))
    error_message = "At most 24 lower-case letters, digits and single hyphens, beginning with a letter."
  }
}

variable "tags" {
  description = "Tags of every resource, beside Site, Environment, Stack and ManagedBy."
  type        = map(string)
  nullable    = false
  default     = {}
  validation {
    condition     = length(var.tags) <= 40
    error_message = "AWS takes 50 tags a resource; leave room for the stack's own."
  }
}

variable "state" {
  description = "Where the state of the stacks is that this one builds on."
  type = object({
    bucket = string
    region = string
  })
  nullable = false
}

variable "log_days" {
  description = "How many days CloudWatch keeps logs."
  type        = number
  nullable    = false
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "hosts" {
  description = "The EC2 group that carries the tasks: instance type and its architecture, the pinned machine image, whether the type trunks, how many instances, the capacity provider's target in percent, and how many are added at a time."
  type = object({
    type         = string
    architecture = string
    image        = string
    trunking     = bool
    count        = object({ min = number, max = number })
    fill         = number
    step         = object({ min = number, max = number })
  })
  nullable = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", var.hosts.type))
    error_message = "hosts.type is an instance type such as m7g.large."
  }
  validation {
    condition     = contains(["arm64", "x86_64"], var.hosts.architecture)
    error_message = "hosts.architecture is arm64 or x86_64."
  }
  validation {
    condition     = startswith(var.hosts.image, "ami-")
    error_message = "hosts.image is the ID of an ECS-optimised machine image (ami-…)."
  }
  validation {
    condition     = var.hosts.count.min >= 1 && var.hosts.count.min <= var.hosts.count.max
    error_message = "hosts.count goes from at least 1 to no less."
  }
  validation {
    condition     = var.hosts.fill >= 1 && var.hosts.fill <= 100
    error_message = "hosts.fill is 1 to 100 percent; 100 keeps no spare."
  }
  validation {
    condition     = var.hosts.step.min >= 1 && var.hosts.step.min <= var.hosts.step.max
    error_message = "hosts.step goes from at least 1 to no less."
  }
}

variable "domain" {
  description = "The site's host name and the public Route 53 zone that holds it; both empty for none, and then there is no certificate and no TLS."
  type = object({
    name    = string
    zone_id = string
  })
  nullable = false
  default  = { name = "", zone_id = "" }
  validation {
    condition     = (var.domain.name == "") == (var.domain.zone_id == "")
    error_message = "domain.name needs domain.zone_id, the hosted zone in which its records are made."
  }
}

variable "cdn" {
  description = "CloudFront stands before the load balancer, which then is internal."
  type        = bool
  nullable    = false
  validation {
    condition     = !var.cdn || var.domain.name != ""
    error_message = "The CDN needs a domain: CloudFront asks the balancer by TLS, which needs a certificate."
  }
}
