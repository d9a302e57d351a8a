# The same steps CI runs.
.PHONY: check test demo fmt

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

test:
	cargo test --workspace

demo:
	cargo run --release -- demo

fmt:
	cargo fmt --all
