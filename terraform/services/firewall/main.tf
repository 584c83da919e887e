# The web ACL of a WordPress site.

locals {
  # AWS' rule groups. What is overridden only counts, everywhere: the editor posts whole pages,
  # uploads are large, and both look like attacks to a rule that does not know WordPress. Their
  # label still tells wp-admin from the rest (rule "large-bodies").
  groups = {
    AWSManagedRulesAmazonIpReputationList = { priority = 10, counted = [] }
    AWSManagedRulesKnownBadInputsRuleSet  = { priority = 20, counted = [] }
    AWSManagedRulesCommonRuleSet = {
      priority = 30
      counted = [
        "CrossSiteScripting_BODY",      # a page with a script block
        "EC2MetaDataSSRF_BODY",         # a page that explains it
        "GenericLFI_BODY",              # "../" in a text
        "GenericRFI_BODY",              # a link in a text
        "NoUserAgent_HEADER",           # webhooks of payment services
        "SizeRestrictions_BODY",        # more than 8 KiB: any page
        "SizeRestrictions_QUERYSTRING", # load-styles.php and load-scripts.php
      ]
    }
    AWSManagedRulesPHPRuleSet       = { priority = 40, counted = ["PHPHighRiskMethodsVariables_BODY"] }
    AWSManagedRulesSQLiRuleSet      = { priority = 50, counted = ["SQLi_BODY"] }
    AWSManagedRulesWordPressRuleSet = { priority = 60, counted = ["WordPressExploitableCommands_QUERYSTRING"] }
  }
}

resource "aws_wafv2_web_acl" "this" {
  name        = var.name
  description = "Firewall of ${var.name}"
  scope       = var.scope

  default_action {
    allow {}
  }

  # Guessing passwords, at the login and through XML-RPC.
  rule {
    name     = "login-rate"
    priority = 1

    action {
      block {}
    }

    statement {
      rate_based_statement {
        limit                 = var.login_attempts
        evaluation_window_sec = 300
        aggregate_key_type    = "IP"

        scope_down_statement {
          regex_match_statement {
            regex_string = "^/(wp-login|xmlrpc)\\.php"
            field_to_match {
              uri_path {}
            }
            text_transformation {
              priority = 0
              type     = "NORMALIZE_PATH"
            }
            text_transformation {
              priority = 1
              type     = "LOWERCASE"
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "login-rate"
      sampled_requests_enabled   = true
    }
  }

  dynamic "rule" {
    for_each = local.groups
    content {
      name     = rule.key
      priority = rule.value.priority

      override_action {
        none {}
      }

      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.key

          dynamic "rule_action_override" {
            for_each = rule.value.counted
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }

      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = rule.key
        sampled_requests_enabled   = true
      }
    }
  }

  # The size rule counted everywhere; outside of wp-admin, the REST API (the editor) and the
  # comment form, nobody sends large bodies.
  rule {
    name     = "large-bodies"
    priority = 100

    action {
      block {}
    }

    statement {
      and_statement {
        statement {
          label_match_statement {
            scope = "LABEL"
            key   = "awswaf:managed:aws:core-rule-set:SizeRestrictions_Body"
          }
        }
        statement {
          not_statement {
            statement {
              regex_match_statement {
                regex_string = "^/(wp-admin/|wp-json/|wp-comments-post\\.php|index\\.php|$)"
                field_to_match {
                  uri_path {}
                }
                text_transformation {
                  priority = 0
                  type     = "NORMALIZE_PATH"
                }
              }
            }
          }
        }
      }
    }

    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "large-bodies"
      sampled_requests_enabled   = true
    }
  }

  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = true
  }
}

# What was stopped or counted. The name must begin so. No key of ours: this may be another region.
#tfsec:ignore:aws-cloudwatch-log-group-customer-key As said above.
resource "aws_cloudwatch_log_group" "this" {
  name              = "aws-waf-logs-${var.name}"
  retention_in_days = var.log_days
}

resource "aws_wafv2_web_acl_logging_configuration" "this" {
  resource_arn            = aws_wafv2_web_acl.this.arn
  log_destination_configs = [aws_cloudwatch_log_group.this.arn]

  # Who is logged in stands in the cookie.
  redacted_fields {
    single_header {
      name = "cookie"
    }
  }
  redacted_fields {
    single_header {
      name = "authorization"
    }
  }

  # What passed is in nginx' log.
  logging_filter {
    default_behavior = "DROP"
    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"
      condition {
        action_condition {
          action = "BLOCK"
        }
      }
      condition {
        action_condition {
          action = "COUNT"
        }
      }
    }
  }
}
