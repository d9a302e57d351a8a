# The same steps CI runs.
.PHONY: check test heavy demo fmt

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test:
	cargo test --workspace

# Plays that take the whole machine for minutes, and kill -9 in every state of every fault.
heavy:
	cargo test --test heavy
	cargo test --test crash -- --ignored

demo:
	cargo run --release -- demo

fmt:
	cargo fmt --all
