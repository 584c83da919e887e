# Nothing here knows whether it talks to AWS or to an emulator: the endpoint is the environment's
# (AWS_ENDPOINT_URL).
provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account]

  default_tags {
    tags = local.tags
  }
}

locals {
  tags = merge(var.tags, {
    Site        = var.site
    Environment = var.environment
    Stack       = "data"
    ManagedBy   = "platen"
  })
}

# Where copies of backups go. Without a second region nothing uses it.
provider "aws" {
  alias               = "copies"
  region              = var.backups.copy_to == "" ? var.region : var.backups.copy_to
  allowed_account_ids = [var.account]

  default_tags {
    tags = local.tags
  }
}
