# Who spoke to whom in the VPC, for the day on which somebody must know.

resource "aws_cloudwatch_log_group" "flow" {
  name              = "/platen/${var.name}/flow"
  retention_in_days = var.log_days
  kms_key_id        = aws_kms_key.this["operations"].arn
}

resource "aws_flow_log" "this" {
  vpc_id                   = aws_vpc.this.id
  traffic_type             = "ALL"
  log_destination_type     = "cloud-watch-logs"
  log_destination          = aws_cloudwatch_log_group.flow.arn
  iam_role_arn             = aws_iam_role.flow.arn
  max_aggregation_interval = 600
  tags                     = { Name = var.name }
}

resource "aws_iam_role" "flow" {
  name = "${var.name}-flow"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = var.account } }
    }]
  })
}

#tfsec:ignore:aws-iam-no-policy-wildcards Streams, explained below.
resource "aws_iam_role_policy" "flow" {
  name = "write"
  role = aws_iam_role.flow.name
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect = "Allow"
      Action = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      # A log group's streams have no ARN until they are made: one a network interface.
      Resource = "${aws_cloudwatch_log_group.flow.arn}:*"
    }]
  })
}
