# Platen's commands. `make` lists them; CONTRIBUTING.md says what to do with them.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:

GO      ?= go
EXAMPLE := examples/blog
PLATEN  := $(CURDIR)/bin/platen
LINT    := $(CURDIR)/bin/tools/golangci-lint
LINT_VERSION := v2.15.0

# A checkout that git refuses to read (another owner, a tarball) still builds, without a revision.
VCS := $(shell git status --porcelain >/dev/null 2>&1 && echo auto || echo false)

# The containers' static programs, the same bytes from the same source on any machine.
AGENTS      := platen-agent platen-job
AGENT_ARCHS := amd64 arm64

# Packages whose tests drive no binary. Those of cmd/platen build whole images: under the race
# detector that takes ten times as long, and the packages that do the work are under it already.
UNIT := $$($(GO) list ./... | grep -v -e '/tests/' -e '/cmd/platen$$')

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: go agents ## bin/platen, with the containers' programs inside it
	@$(GO) build -buildvcs=$(VCS) -trimpath -ldflags='-s -w' -o bin/platen ./cmd/platen

# Embedded packed: they are two fifths of the size. The same bytes from the same source, and packed
# again only when they changed. What an older Makefile left there unpacked would be embedded too.
.PHONY: agents
agents: go
	@mkdir -p out/agent && rm -f $(foreach a,$(AGENTS),rootfs/agent/bin/$(a)-linux-{amd64,arm64})
	for arch in $(AGENT_ARCHS); do for agent in $(AGENTS); do
		name=$$agent-linux-$$arch made=out/agent/$$agent-linux-$$arch new=out/agent/$$agent-linux-$$arch.$$$$
		CGO_ENABLED=0 GOOS=linux GOARCH=$$arch $(GO) build -trimpath -buildvcs=false -ldflags='-s -w -buildid=' \
			-o $$new ./cmd/$$agent
		if [ -f rootfs/agent/bin/$$name.gz ] && cmp -s $$new $$made; then rm $$new; continue; fi
		gzip -9n <$$new >$$new.gz
		mv $$new.gz rootfs/agent/bin/$$name.gz
		mv $$new $$made
	done; done

.PHONY: go
go:
	@scripts/need-go

.PHONY: engine
engine:
	@scripts/engine

.PHONY: up
up: build engine ## a WordPress site on this machine (examples/blog)
	@cd $(EXAMPLE) && $(PLATEN) up

.PHONY: down
down: build engine ## stop that site; its data stays
	@cd $(EXAMPLE) && $(PLATEN) down

.PHONY: lint
lint: go $(LINT) ## gofmt, go vet, golangci-lint
	@unformatted=$$(gofmt -l cmd internal rootfs tests tools)
	[ -z "$$unformatted" ] || { echo "not formatted; run gofmt -w on:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(LINT) run

# Built once, from the module proxy: two minutes on two cores.
$(LINT):
	@mkdir -p $(@D)
	GOBIN=$(@D) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)

.PHONY: test
test: lint build engine ## everything: checks, unit tests with the race detector, real sites on Docker
	@scripts/need-chromium
	@scripts/need-mysql
	PLATEN_BIN=$(PLATEN) $(GO) run ./tools/gotests -floor tests/floor.txt \
		-- -race -timeout 15m $(UNIT) \
		-- -timeout 15m ./cmd/platen \
		-- -timeout 30m -p 1 -parallel 2 ./tests/e2e/... ./tests/php/... ++ -timeout 30m -parallel 8 ./tests/aws/...

.PHONY: test-unit
test-unit: go ## the tests that need no engine
	@$(GO) run ./tools/gotests -- -race -timeout 15m $(UNIT) -- -timeout 15m ./cmd/platen

.PHONY: test-e2e
test-e2e: build engine ## the tests that run real sites; TEST=regexp selects
	@scripts/need-chromium
	@scripts/need-mysql
	PLATEN_BIN=$(PLATEN) $(GO) run ./tools/gotests -- -timeout 20m -parallel 2 $(if $(TEST),-run '$(TEST)') ./tests/e2e/... ./tests/php/...

.PHONY: test-aws
test-aws: build ## environments on AWS: the real Terraform against an emulator; TEST=regexp selects
	PLATEN_BIN=$(PLATEN) $(GO) run ./tools/gotests -- -timeout 60m -parallel 8 $(if $(TEST),-run '$(TEST)') ./tests/aws/...

.PHONY: floor
floor: ## take the last full run's number of tests as the least that a run must have
	@cp out/tests/count.txt tests/floor.txt && cat tests/floor.txt

.PHONY: prove
prove: build engine fuzz ## the long proofs; writes docs/performance.md and .json
	@scripts/need-qemu
	@scripts/need-registry
	@PLATEN_BIN=$(PLATEN) $(GO) run ./tools/gotests \
		-- -tags prove -timeout 80m ./tests/prove/... \
		-- -tags prove -timeout 60m -parallel 8 ./tests/aws/...

.PHONY: fuzz
fuzz: go ## every fuzz target for a minute; EACH=10s
	@scripts/fuzz $(or $(EACH),1m)

.PHONY: clean
clean: ## remove what was built here; sites and caches stay
	@rm -rf bin out rootfs/agent/bin/platen-*
