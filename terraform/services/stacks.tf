# What the stacks before this one made.

data "terraform_remote_state" "this" {
  for_each = toset(["shared", "cluster", "data"])

  backend   = "s3"
  workspace = terraform.workspace
  config = {
    bucket = var.state.bucket
    region = var.state.region
    key    = "${each.key}/terraform.tfstate"
  }
}

locals {
  shared  = data.terraform_remote_state.this["shared"].outputs
  cluster = data.terraform_remote_state.this["cluster"].outputs
  data    = data.terraform_remote_state.this["data"].outputs
}

data "aws_partition" "this" {}
