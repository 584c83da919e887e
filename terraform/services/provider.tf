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
    Stack       = "services"
    ManagedBy   = "platen"
  })
}

# CloudFront takes its certificate and its web ACL from here, wherever the site is.
provider "aws" {
  alias               = "us_east_1"
  region              = "us-east-1"
  allowed_account_ids = [var.account]

  default_tags {
    tags = local.tags
  }
}
