terraform {
  # 1.10 brought the S3 backend's own lock files.
  required_version = ">= 1.10"

  required_providers {
    aws = {
      source = "hashicorp/aws"
      # One version for all stacks and everybody; .terraform.lock.hcl holds its checksum for linux_amd64.
      version = "5.100.0"
    }
  }

  # The rest (bucket, region, key, lock) stands in backend_override.tf.json, which Platen writes
  # beside this file: the code is every environment's, the place of the state is one's own.
  backend "s3" {}
}
