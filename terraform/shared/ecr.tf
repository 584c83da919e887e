# The images that run on AWS. Database, caches and balancer are services here.

resource "aws_ecr_repository" "this" {
  for_each = toset(["nginx", "wordpress", "jobs"])

  name                 = "${var.name}/${each.key}"
  image_tag_mutability = "IMMUTABLE" # a release names digests; a tag never comes to mean another
  force_delete         = true        # Platen builds every image again, to the same bit

  image_scanning_configuration {
    scan_on_push = true
  }

  # The images hold Debian's packages and no secret: AWS' own encryption does, and a key of ours
  # would have to be usable by every host that pulls.
  encryption_configuration {
    encryption_type = "AES256" #tfsec:ignore:aws-ecr-repository-customer-key As said above.
  }
}

# Images with a tag stay: Platen tags what a listed release runs, and takes the tag away when it
# drops the release from the list. Then they go, as do uploads that were never finished.
# ECR itself keeps an untagged image that a tagged index still names.
resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Untagged: of no listed release"
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
      action       = { type = "expire" }
    }]
  })
}
