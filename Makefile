# The commands of the project. `make` alone says what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CARGO ?= cargo

.PHONY: sim sim-several help setup build demo demo-kafka test verify bench fuzz mutants truth kafka-setup test-kafka faults bench-kafka deploy-check test-postgres bench-postgres bench-cluster

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## install what the build needs beyond Rust
	@scripts/setup

build: setup ## the binary, target/release/ringpost
	$(CARGO) build --release --locked -p ringpost

demo: build ## a company, four webhooks, some calls: see it work (CI=1: ends by itself)
	@scripts/demo

demo-kafka: build kafka-setup ## the same with the log on a real Apache Kafka, in a temporary folder, each role a process of its own
	@scripts/kafka run bash -c 'DEMO_KAFKA=$$RINGPOST_TEST_KAFKA scripts/demo'

test: setup ## everything that is tested, on a bare machine
	$(CARGO) build --locked -p ringpost
	$(CARGO) test --workspace --locked

kafka-setup: ## Apache Kafka for `make test-kafka` and to try it out (scripts/kafka): Java and Maven from Debian, Kafka from Maven
	@scripts/kafka setup
	@scripts/kafka get

test-postgres: setup ## the store in PostgreSQL, on a server of its own in a temporary folder, and behind PgBouncer
	scripts/postgres setup
	$(CARGO) build --locked -p ringpost
	scripts/postgres run --no-fsync yes $(CARGO) test --locked -p ringpost-store -p ringpost-tests --test it -- postgres pooled:: shared:: server::

test-kafka: setup kafka-setup ## what is promised on Kafka, against a real broker in a temporary folder
	$(CARGO) build --locked -p ringpost
	scripts/kafka run $(CARGO) test --locked -p ringpost-bus -p ringpost-tests --test it -- kafka

faults: setup kafka-setup ## the real binary on real brokers and a real database while everything goes wrong: SECONDS_IN_ALL=300 SEED=1 KEEP=target/faults ONLY=kill,network
	scripts/postgres setup
	$(CARGO) build --locked -p ringpost -p ringpost-faults
	$(or $(CARGO_TARGET_DIR),target)/debug/faults --binary $(or $(CARGO_TARGET_DIR),target)/debug/ringpost --seconds $(or $(SECONDS_IN_ALL),300) --seed $(or $(SEED),1) --keep $(or $(KEEP),target/faults) $(if $(ONLY),--only $(ONLY))

deploy-check: build kafka-setup ## deploy/: Kubernetes, image, alerts and dashboard against what they are for
	@scripts/kafka run scripts/deploy-check

verify: setup ## formatting, lints, documentation, built files
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) run --locked -q -p ringpost-numbers --example build-places -- --check
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" $(CARGO) doc --workspace --no-deps --locked --document-private-items

truth: build ## 100,000 simulated calls through `aggregate` give the records they must (CALLS=, SEED=)
	@scripts/truth $(or $(CALLS),100000) $(or $(SEED),1)

mutants: setup ## 20 faults planted in `session`, one at a time: each must be noticed
	@scripts/mutants

sim: setup ## worlds in which everything goes wrong, SEEDS=100000 START=0; one is shown with all that happens in it
	$(CARGO) run --release --locked -q -p ringpost-sim --bin sim -- $(or $(START),0) $(if $(filter 1,$(SEEDS)),,$(or $(SEEDS),100000))

sim-several: setup ## the same with two or three processes on one log
	$(CARGO) run --release --locked -q -p ringpost-sim --bin sim -- --several $(or $(START),0) $(if $(filter 1,$(SEEDS)),,$(or $(SEEDS),100000))

fuzz: setup ## hostile input, SECONDS_EACH=15 for each target
	for dialect in leg freeswitch event kazoo cel cdr; do \
	  $(CARGO) run --locked -q -p ringpost-ingest --example fuzz -- $$dialect $(or $(SECONDS_EACH),15) $(or $(SEED),1); done
	$(CARGO) run --locked -p ringpost-trigger --example fuzz -- $(or $(SECONDS_EACH),15) $(or $(SEED),1)
	$(CARGO) run --locked -p ringpost-deliver --example fuzz -- $(or $(SECONDS_EACH),15) $(or $(SEED),1)

bench: build ## figures of the crates and of the whole (docs/performance.md)
	$(CARGO) bench --locked -p ringpost-session -p ringpost-trigger -p ringpost-enrich -p ringpost-deliver -p ringpost-store -p ringpost-bus
	$(CARGO) bench --locked -p ringpost --bench pipeline

bench-postgres: setup ## what a store in PostgreSQL costs, with the server's own time (docs/performance.md)
	scripts/postgres setup
	scripts/postgres run $(CARGO) bench --locked -p ringpost-store --bench settle --bench claim

bench-kafka: setup kafka-setup ## the worker on Kafka beside a bare rdkafka loop (docs/performance.md)
	scripts/kafka run $(CARGO) bench --locked -p ringpost-bus --bench kafka

bench-cluster: build kafka-setup ## the whole on Kafka and PostgreSQL (docs/performance.md)
	scripts/postgres setup
	scripts/kafka run scripts/postgres run $(CARGO) bench --locked -p ringpost --bench pipeline -- roles curve live grow
