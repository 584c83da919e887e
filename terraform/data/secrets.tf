# Entries without content: Platen fills each through the API where no version exists, so that no
# value is ever in a variable, a plan or a state.

locals {
  secrets = {
    db_password    = "WordPress' own database user"
    sessions_token = "Session store"
    objects_token  = "Object cache"
    salt           = "Keys and salts of WordPress are derived from it"
    site_token     = "Opens /-/site"
    admin_password = "The first administrator"
    mail_password  = "SMTP server; empty where it asks for none"
  }
}

#tfsec:ignore:aws-ssm-secret-use-customer-key The key is the shared stack's.
resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  # A prefix: AWS holds the name of a deleted secret for the days below, and an environment that
  # is made again must not stumble over it.
  name_prefix             = "${var.name}/${each.key}-"
  description             = each.value
  kms_key_id              = local.shared.key_arns["secrets"]
  recovery_window_in_days = 7
}
