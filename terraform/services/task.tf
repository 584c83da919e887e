# What web tasks and jobs have in common.
#
# Task definitions here are templates. A release registers a definition of its own: the template
# with its images by digest and its identifier in PLATEN_TASK. So a release never differs from
# what Terraform wants, and a change of size here ships with the next release.

locals {
  mib = 1048576

  # Keys in the bucket of media are the paths of their URLs.
  uploads = "wp-content/uploads/"

  # PLATEN_TASK: the agent's contract (internal/task). No secret is in it.
  config = {
    site    = var.site
    env     = var.environment
    url     = local.cluster.url
    content = var.task.content
    php     = var.task.php
    nginx   = var.task.nginx
    database = {
      writer = local.data.database.writer
      reader = local.data.database.reader
      name   = var.task.database.name
      user   = var.task.database.user
    }
    sessions = { address = local.data.sessions.address }
    objects  = { address = local.data.objects.address, cluster = true }
    # The role is the key: neither an address nor a secret is needed.
    media   = { for key, value in { bucket = local.data.media.bucket, region = var.region, prefix = local.uploads } : key => value if local.data.media.bucket != "" }
    mail    = var.task.mail
    drain   = var.task.drain
    trusted = var.task.trusted
  }

  # An unused secret has no version, and a task that names it would not start.
  secrets_mail = var.task.mail.user == "" ? [] : ["mail_password"]
  secrets_web  = concat(["db_password", "sessions_token", "objects_token", "salt", "site_token"], local.secrets_mail)

  # The entries of Secrets Manager that a role's containers get, as $DB_PASSWORD and so on. The
  # agent unsets them after reading.
  secrets = {
    web  = local.secrets_web
    jobs = concat(local.secrets_web, ["admin_password"])
    init = ["db_password"]
  }

  images = { for name, url in local.shared.repository_urls : name => "${url}:template" }

  # The share, mounted where the containers on Docker have it.
  content_path = var.task.content == "shared" ? "/usr/share/wordpress/wp-content" : "/usr/share/wordpress/wp-content/uploads"

  # No container is root, can become it, has a capability or writes to its image.
  hardened = {
    user                   = "33:33"
    essential              = true
    readonlyRootFilesystem = true
    privileged             = false
    dockerSecurityOptions  = ["no-new-privileges"]
    ulimits                = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
  }
  capabilities = { add = [], drop = ["ALL"] }
  tmpfs        = ["noexec", "nosuid", "nodev"]

  # A log that cannot be delivered is dropped after 4 MiB; it does not hold the request.
  logging = {
    for name, group in aws_cloudwatch_log_group.this : name => {
      logDriver = "awslogs"
      options = {
        awslogs-group         = group.name
        awslogs-region        = var.region
        awslogs-stream-prefix = name
        mode                  = "non-blocking"
        max-buffer-size       = "4m"
      }
    }
  }
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["nginx", "php", "jobs"])

  name              = "/platen/${var.name}/${each.key}"
  retention_in_days = var.log_days
  kms_key_id        = local.shared.key_arns["operations"]
}
