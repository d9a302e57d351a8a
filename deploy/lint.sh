#!/usr/bin/env bash
# The files that start it, against the compose specification's schema and a linter of Dockerfiles. Installed by `make lint-files`.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/lint/.venv/bin/hadolint Dockerfile
deploy/lint/node_modules/.bin/dclint --config deploy/lint/dclint.yaml docker-compose.yml docker-compose.local.yml
bash -n deploy/stack.sh
