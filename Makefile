# Countersign's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/countersign
export PATH := $(CACHE)/tools/bin:$(PATH)
ARGS ?=

.PHONY: help demo test lint deny bench evaluate setup models mutants

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## a week of seven counters and a morning at one, end to end, on real faces; ARGS=--once ends by itself
	@.ci/setup build
	@cargo build --release --workspace --bins --locked
	@target/release/models fetch
	@target/release/datasets fetch registry-mini
	@target/release/demo $(ARGS)

test: lint deny models ## formats, lints, unit, integration and whole-system tests (what CI calls)
	COUNTERSIGN_REQUIRE_MODELS=1 cargo nextest run --workspace --locked

lint: ## formatting and lints
	@.ci/setup test
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, bans and sources of dependencies
	@.ci/setup test
	cargo deny --log-level error check bans licenses sources

models: ## fetches and checks models and test pictures into the cache folder
	@.ci/setup test
	cargo build --workspace --bins --locked
	target/debug/models fetch
	target/debug/datasets fetch registry-mini

bench: WRITE = $(if $(filter --write,$(ARGS)),--write benches/data/unit_costs.json)
bench: ## benches: ratios in one run against a stated peer or limit; ARGS=--write notes the unit costs of `matcher plan`
	@.ci/setup bench
	@cargo build --release --workspace --bins --locked
	@target/release/models fetch
	@target/release/datasets fetch registry-mini
	@missed=; for bench in \
		"target/release/enrolment_rate $(WRITE)" \
		"target/release/tracking" \
		"target/release/verdict" \
		"target/release/city" \
		"target/release/enrol_synthetic $(WRITE)" \
		"target/release/identification $(WRITE)" \
		"python3 benches/peers/run.py --programs target/release" \
		"cargo bench --locked --workspace --bench stages" \
		"target/release/load $(WRITE)" \
		"target/release/load --store postgres --ratio-min 0.2" \
		"target/release/batch" \
		"target/release/batch --by-time $(WRITE)" \
		"target/release/flapping" \
		"target/release/console" \
		"target/release/console --store postgres"; \
	do echo "== $$bench"; $$bench || missed="$$missed\n  $$bench"; done; \
	test -z "$$missed" || { printf "a limit was missed, or it could not be run:$$missed\n" >&2; exit 1; }

evaluate: models ## measures accuracy on every pack under $EVAL_DATA; pages and figures go to target/evaluation
	@test -n "$${EVAL_DATA:-}" || { echo "evaluate: EVAL_DATA must name the folder with the packs" >&2; exit 1; }
	cargo build --workspace --bins --locked
	@for pack in "$$EVAL_DATA"/*/; do \
		name=$$(basename "$$pack"); out=target/evaluation/$$name; mkdir -p "$$out"; \
		case "$$name" in lfw-*) face=central ;; *) face=dominant ;; esac; \
		common="--face $$face --json $$out/figures.json --report $$out"; \
		if [ -f "$$pack/gallery.csv" ]; then what="identification --gallery $$pack/gallery.csv --probes $$pack/probes.csv"; \
		elif [ -f "$$pack/labels.csv" ]; then what="attacks --labels $$pack/labels.csv"; \
		elif [ -f "$$pack/pairs.csv" ] && [ -d "$$pack/images" ]; then what="verification --pairs $$pack/pairs.csv --against plain"; \
		else continue; fi; \
		echo "== $$name"; target/debug/evaluate $$what $$common; \
	done

mutants: ## changes code that decides, signs and checks in every small way; fails when no test notices one
	@.ci/setup mutants
	PROPTEST_CASES=32 cargo mutants --copy-target=false --output target/mutants $(ARGS)

setup: ## installs what is missing on this machine
	@.ci/setup test
