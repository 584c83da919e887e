# Roles. Execution roles are ECS' own, to start a container; task roles are what runs in it.

locals {
  task_trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.account }
        # Tasks of this region, which have no ARN before they are.
        ArnLike = { "aws:SourceArn" = "arn:${data.aws_partition.this.partition}:ecs:${var.region}:${var.account}:*" }
      }
    }]
  })

  # For each role: whose images it pulls, which secrets it reads, where it logs.
  execution = {
    web  = { images = ["nginx", "wordpress"], secrets = [for name in local.secrets["web"] : local.data.secret_arns[name]], logs = ["nginx", "php"] }
    jobs = { images = ["jobs"], secrets = [for name in local.secrets["jobs"] : local.data.secret_arns[name]], logs = ["jobs"] }
    init = { images = ["jobs"], secrets = concat([for name in local.secrets["init"] : local.data.secret_arns[name]], [local.data.database.master_secret_arn]), logs = ["jobs"] }
  }

  media_statements = [for statement in [
    {
      Sid      = "Media"
      Effect   = "Allow"
      Action   = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]
      Resource = "${local.data.media.arn}/${local.uploads}*" # any picture of this site
    },
    {
      # Without a condition on the prefix: a question for one key names none, and S3 would answer
      # 403, not 404, for a picture that is not there. The bucket has nothing else.
      Sid      = "MediaList"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = local.data.media.arn
    },
    {
      Sid      = "MediaKey"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = local.shared.key_arns["media"]
    },
  ] : statement if local.data.media.bucket != ""]
}

resource "aws_iam_role" "execution" {
  for_each = local.execution

  name               = "${var.name}-${each.key}-execution"
  assume_role_policy = local.task_trust
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.execution

  name = "start"
  role = aws_iam_role.execution[each.key].name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Login"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*" # a token is the account's: the action takes no resource
      },
      {
        Sid      = "Pull"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [for image in each.value.images : local.shared.repository_arns[image]]
      },
      {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = each.value.secrets
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = local.shared.key_arns["secrets"]
      },
      {
        Sid    = "Logs"
        Effect = "Allow"
        Action = ["logs:CreateLogStream", "logs:PutLogEvents"]
        # A stream a container, named when it starts.
        Resource = [for group in each.value.logs : "${aws_cloudwatch_log_group.this[group].arn}:*"]
      },
    ]
  })
}

resource "aws_iam_role" "task" {
  for_each = toset(["web", "jobs"])

  name               = "${var.name}-${each.key}-task"
  assume_role_policy = local.task_trust
}

resource "aws_iam_role_policy" "task" {
  for_each = aws_iam_role.task

  name = "work"
  role = each.value.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "Share"
      Effect    = "Allow"
      Action    = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
      Resource  = local.data.files.arn
      Condition = { StringEquals = { "elasticfilesystem:AccessPointArn" = local.data.files.access_point_arn } }
    }], local.media_statements)
  })
}
