package site

import "fmt"

// SchemaFile is where `platen init` writes the schema, relative to platen.yaml.
const SchemaFile = ".platen/schema.json"

// Template is a short commented platen.yaml for a new site. A name that is none is made one.
func Template(name string) []byte {
	return fmt.Appendf(nil, template, SchemaFile, nameOf(name))
}

const template = `# yaml-language-server: $schema=%s
platen: 1
name: %s                         # prefixes every resource
# title: The Blog
# admin: {user: editor, email: you@example.com}   # platen credentials prints the password

wordpress:
  source: debian                 # or 6.8.3 (the official archive), or ./site
  content: shared                # themes and plugins in wp-admin; image = built in, read-only
  # plugins: [./plugins/newsletter]

web:                             # one task = nginx + php-fpm
  tasks: 2
  # php: {memory: 384M, upload: 32M, env: {WP_MEMORY_LIMIT: 256M}}

# mail: {smtp: "smtp.example.com:587", from: blog@example.com}   # without it: platen mail list

environments:                    # maps merge over the above; scalars and lists replace
  local: {target: local, port: 8080, size: ha}    # small = one of each
`
