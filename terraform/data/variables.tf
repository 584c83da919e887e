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

variable "database" {
  description = "Aurora: the instances' class (db.serverless with its capacity in ACUs), how many readers, and what their number follows (percent of CPU, connections to a reader; 0 is not followed)."
  type = object({
    class    = string
    capacity = object({ min = number, max = number })
    readers  = object({ min = number, max = number })
    scale    = object({ cpu = number, connections = number })
  })
  nullable = false
  validation {
    condition     = can(regex("^db\\.([a-z][a-z0-9-]*\\.[a-z0-9]+|serverless)$", var.database.class))
    error_message = "database.class is a class such as db.r6g.large, or db.serverless."
  }
  validation {
    condition     = var.database.readers.min >= 0 && var.database.readers.min <= var.database.readers.max && var.database.readers.max <= 15
    error_message = "Aurora has 0 to 15 readers, and the lower bound comes first."
  }
  validation {
    condition     = var.database.class != "db.serverless" || (var.database.capacity.min >= 0.5 && var.database.capacity.min <= var.database.capacity.max && var.database.capacity.max <= 256)
    error_message = "database.capacity goes from at least 0.5 to at most 256 ACUs."
  }
  validation {
    condition     = var.database.readers.min == var.database.readers.max || var.database.scale.cpu > 0 || var.database.scale.connections > 0
    error_message = "A range of readers needs something that it follows: database.scale.cpu or .connections."
  }
}

variable "sessions" {
  description = "The store of PHP sessions: engine, class, replicas."
  type = object({
    engine   = string
    class    = string
    replicas = number
  })
  nullable = false
  validation {
    condition     = contains(["valkey", "redis"], var.sessions.engine)
    error_message = "sessions.engine is valkey or redis."
  }
  validation {
    condition     = startswith(var.sessions.class, "cache.")
    error_message = "sessions.class is a class such as cache.t4g.small."
  }
  validation {
    condition     = var.sessions.replicas >= 0 && var.sessions.replicas <= 5
    error_message = "ElastiCache has 0 to 5 replicas."
  }
}

variable "objects" {
  description = "The object cache: engine, class, replicas. A range is scaled on the CPU of the engine."
  type = object({
    engine   = string
    class    = string
    replicas = object({ min = number, max = number })
  })
  nullable = false
  validation {
    condition     = contains(["valkey", "redis"], var.objects.engine)
    error_message = "objects.engine is valkey or redis."
  }
  validation {
    condition     = startswith(var.objects.class, "cache.")
    error_message = "objects.class is a class such as cache.r7g.large."
  }
  validation {
    condition     = var.objects.replicas.min >= 0 && var.objects.replicas.min <= var.objects.replicas.max && var.objects.replicas.max <= 5
    error_message = "ElastiCache has 0 to 5 replicas, and the lower bound comes first."
  }
  validation {
    # AWS, "Using auto scaling with replicas": these families, large to 2xlarge, and so no T type.
    condition     = var.objects.replicas.min == var.objects.replicas.max || can(regex("^cache\\.(r5|r6g|r6gd|r7g|m5|m6g|m7g|c7gn)\\.(large|xlarge|2xlarge)$", var.objects.class))
    error_message = "ElastiCache scales replicas of R5, R6g, R6gd, R7g, M5, M6g, M7g and C7gn from large to 2xlarge only: one number of replicas, or another class."
  }
}

variable "media" {
  description = "Where uploaded media live: shared (EFS, with the rest), or s3 (a bucket behind the CDN)."
  type        = string
  nullable    = false
  validation {
    condition     = contains(["shared", "s3"], var.media)
    error_message = "media is shared or s3."
  }
}

variable "backups" {
  description = "Every how many hours AWS Backup saves files and database, how many of each kind are kept, and the second region that holds copies (empty for none), with whether more are made. The region of copies that are there cannot change: they would not be found in another."
  type = object({
    every   = number
    keep    = object({ hourly = number, daily = number, weekly = number, monthly = number })
    copy_to = string
    copy    = optional(bool, true)
  })
  nullable = false
  validation {
    condition     = contains([1, 2, 3, 4, 6, 8, 12, 24], var.backups.every)
    error_message = "backups.every is 1, 2, 3, 4, 6, 8, 12 or 24 hours: AWS Backup starts at most hourly, and the hours must divide a day."
  }
  validation {
    condition     = sum(values(var.backups.keep)) > 0
    error_message = "backups.keep keeps nothing."
  }
  validation {
    condition     = var.backups.copy_to != var.region
    error_message = "Copies belong in another region."
  }
}
