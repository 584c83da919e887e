# What the stacks before this one made.

data "terraform_remote_state" "shared" {
  backend   = "s3"
  workspace = terraform.workspace
  config = {
    bucket = var.state.bucket
    region = var.state.region
    key    = "shared/terraform.tfstate"
  }
}

locals {
  shared = data.terraform_remote_state.shared.outputs
}

data "aws_partition" "this" {}
