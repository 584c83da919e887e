variable "name" {
  description = "The name of the web ACL and the end of its log group's."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-zA-Z0-9-]{1,128}$", var.name))
    error_message = "Letters, digits and hyphens."
  }
}

variable "scope" {
  description = "CLOUDFRONT (with a provider in us-east-1) or REGIONAL."
  type        = string
  nullable    = false
  validation {
    condition     = contains(["CLOUDFRONT", "REGIONAL"], var.scope)
    error_message = "scope is CLOUDFRONT or REGIONAL."
  }
}

variable "log_days" {
  description = "How many days CloudWatch keeps what was stopped."
  type        = number
  nullable    = false
  validation {
    condition     = var.log_days >= 1
    error_message = "A day at least."
  }
}

variable "login_attempts" {
  description = "Requests to the login and to XML-RPC from one address within five minutes, above which it is blocked."
  type        = number
  nullable    = false
  validation {
    condition     = var.login_attempts >= 10
    error_message = "AWS WAF counts from 10 on."
  }
}
