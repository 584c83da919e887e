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

variable "log_days" {
  description = "How many days CloudWatch keeps logs."
  type        = number
  nullable    = false
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_days)
    error_message = "CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "network" {
  description = "The VPC: its range, the way out (a single NAT gateway, or one a zone), and its three zones. The zones are pinned, or a new zone of AWS' would move subnets."
  type = object({
    cidr  = string
    nat   = string
    zones = list(string)
  })
  nullable = false
  validation {
    condition     = can(cidrnetmask(var.network.cidr)) && try(tonumber(split("/", var.network.cidr)[1]) >= 16 && tonumber(split("/", var.network.cidr)[1]) <= 24, false)
    error_message = "network.cidr is an IPv4 range from /16 (AWS' widest) to /24 (nine subnets of sizes that AWS takes)."
  }
  validation {
    condition     = contains(["single", "per-zone"], var.network.nat)
    error_message = "network.nat is single or per-zone."
  }
  validation {
    condition     = length(distinct(var.network.zones)) == 3 && length(var.network.zones) == 3
    error_message = "network.zones are three different availability zones."
  }
}

variable "cdn" {
  description = "CloudFront stands before the load balancer, which then answers nobody else."
  type        = bool
  nullable    = false
}

variable "copy_to" {
  description = "The second region that holds copies of backups; empty for none. Its key is made here, since it outlives the copies."
  type        = string
  nullable    = false
  default     = ""
  validation {
    condition     = var.copy_to != var.region
    error_message = "Copies belong in another region."
  }
}

variable "mail_port" {
  description = "The port of the SMTP server that web tasks and jobs may reach; 0 for none."
  type        = number
  nullable    = false
  default     = 0
  validation {
    condition     = var.mail_port >= 0 && var.mail_port <= 65535
    error_message = "A port is 1 to 65535, or 0 for none."
  }
}
