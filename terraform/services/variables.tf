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

variable "domain" {
  description = "The site's host name and the public Route 53 zone that holds it; both empty for none."
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
  description = "CloudFront stands before the load balancer."
  type        = bool
  nullable    = false
  validation {
    condition     = !var.cdn || var.domain.name != ""
    error_message = "The CDN needs a domain: CloudFront asks the balancer by TLS, which needs a certificate."
  }
}

variable "web" {
  description = "The web tier: bounds of the number of tasks; what it follows (percent of CPU, requests a minute and task; 0 is not followed); when the bounds change (AWS' cron of six fields, UTC); and what the two containers may use (cores as a share, memory in bytes as a limit)."
  type = object({
    tasks    = object({ min = number, max = number })
    scale    = object({ cpu = number, requests = number })
    schedule = list(object({ cron = string, tasks = object({ min = number, max = number }) }))
    php      = object({ cpu = number, memory = number })
    nginx    = object({ cpu = number, memory = number })
  })
  nullable = false
  validation {
    condition     = var.web.tasks.min >= 1 && var.web.tasks.min <= var.web.tasks.max
    error_message = "web.tasks goes from at least 1 to no less."
  }
  validation {
    condition     = alltrue([for s in var.web.schedule : s.tasks.min >= 1 && s.tasks.min <= s.tasks.max])
    error_message = "The bounds of web.schedule go from at least 1 to no less."
  }
  validation {
    condition     = alltrue([for s in var.web.schedule : can(regex("^cron\\(\\S+ \\S+ \\S+ \\S+ \\S+ \\S+\\)$", s.cron))])
    error_message = "web.schedule takes AWS' form: cron(0 7 ? * MON-FRI *)."
  }
  validation {
    condition     = var.web.php.memory >= 256 * 1048576 && var.web.nginx.memory >= 32 * 1048576
    error_message = "php needs 256 MiB and nginx 32 MiB at least; the numbers are bytes."
  }
}

variable "jobs" {
  description = "What a job's container may use: cores as a share, memory in bytes as a limit."
  type = object({
    cpu    = number
    memory = number
  })
  nullable = false
  validation {
    condition     = var.jobs.memory >= 128 * 1048576
    error_message = "A job needs 128 MiB at least; the number is bytes."
  }
}

variable "task" {
  description = "What php, nginx and jobs are told (PLATEN_TASK), but for the addresses of the data, which this stack knows."
  type = object({
    content = string # shared: the share holds themes and plugins; image: the image does
    php = object({
      children = number
      memory   = number # bytes
      upload   = number # bytes
      timeout  = number # seconds
      env      = optional(map(string), {})
      settings = optional(map(string), {})
    })
    nginx    = object({ memory = number, cache = number }) # bytes
    database = object({ name = string, user = string })
    mail     = object({ address = string, from = string, user = optional(string, ""), tls = string })
    drain    = number # seconds
    trusted  = optional(list(string), [])
  })
  nullable = false
  validation {
    condition     = contains(["shared", "image"], var.task.content)
    error_message = "task.content is shared or image."
  }
  validation {
    # nginx waits five seconds longer, and the balancer 70: it must not be the first to give up.
    condition     = var.task.php.timeout >= 1 && var.task.php.timeout <= 65
    error_message = "task.php.timeout is 1 to 65 seconds: the balancer waits 70, and nginx must answer before."
  }
  validation {
    condition     = var.task.php.children >= 1
    error_message = "php needs a child to serve."
  }
}

variable "media" {
  description = "Where uploaded media live: shared, or s3."
  type        = string
  nullable    = false
  validation {
    condition     = contains(["shared", "s3"], var.media)
    error_message = "media is shared or s3."
  }
  validation {
    condition     = var.media == "shared" || var.cdn
    error_message = "Media in S3 need the CDN, which is the only one that may read the bucket."
  }
}

variable "database_connections" {
  description = "max_connections of the database's class; the alarm goes at 80 percent of it."
  type        = number
  nullable    = false
  validation {
    condition     = var.database_connections > 0
    error_message = "The number of connections is above 0."
  }
}

variable "alarms" {
  description = "Who hears of alarms: mailto:ADDRESS, or a webhook's https address."
  type        = set(string)
  nullable    = false
  default     = []
  validation {
    condition     = alltrue([for to in var.alarms : can(regex("^(mailto:[^@ ]+@[^@ ]+|https://[^ ]+)$", to))])
    error_message = "An alarm goes to mailto:ADDRESS or to an https address."
  }
}
