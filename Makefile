# Flota. `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export FLOTA_CACHE ?= $(HOME)/.cache/flota
WEB := services/editor/web

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## set up what is missing and run the whole product at one URL
	@exec bin/flota-solo

test: setup web ## every test that a change must pass (also installs what is missing)
	@deploy/setup/test.sh

lint: setup-lint web ## go vet, golangci-lint, buf, svelte-check, flake8, clang-format
	@deploy/setup/lint.sh

gen: $(WEB)/node_modules/.installed ## generated code and pictures: protobuf, OpenAPI, vectors, flow diagram
	@deploy/setup/gen.sh

up: ## the separate services with Docker Compose
	@deploy/docker/init.sh
	docker compose up --build --scale compiler=$(or $(COMPILERS),2)

bench: build ## measure; writes deploy/bench/RESULTS.md and results.json
	@deploy/bench/run.sh $(ARGS)

faultlab: setup ## power cuts, bad networks, hostile servers against virtual boards; writes deploy/bench
	@deploy/setup/faultlab.sh $(ARGS)

cores: ## install the ESP32 and RP2040 cores from their board managers (needs the internet)
	@deploy/toolchain/cores.sh

build: setup web ## bin/: flota-solo, the services, the simulator, flota-board, flota-provision
	@mkdir -p bin; echo "building the programs …" >&2
	@go build -trimpath -o bin/flota-solo ./deploy/solo/cmd/flota-solo
	@go build -trimpath -o bin/flota-simulator ./firmware/simulator/cmd/flota-simulator
	@go build -trimpath -o bin/flota-board ./firmware/chip/cmd/flota-board
	@go build -trimpath -o bin/flota-provision ./firmware/provision/cmd/flota-provision
	@for s in auth editor compiler artifact fleet boards; do go build -trimpath -o bin/flota-$$s ./services/$$s/cmd/$$s; done

setup: ## install what building, running and testing need
	@deploy/setup/setup.sh

setup-lint: setup
	@deploy/setup/setup.sh lint

web: $(WEB)/dist/.built ## build the web editor

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json
	@deploy/setup/web.sh packages

$(WEB)/dist/.built: $(shell find $(WEB)/src $(WEB)/public $(WEB)/scripts $(WEB)/index.html $(WEB)/package-lock.json $(WEB)/vite.config.ts 2>/dev/null)
	@deploy/setup/web.sh

clean: ## remove what make built in this folder (not the cache)
	rm -rf bin $(WEB)/node_modules
	git clean -fdXq $(WEB)/dist

.PHONY: help run test lint gen up bench faultlab cores build setup setup-lint web clean
