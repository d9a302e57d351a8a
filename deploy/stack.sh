#!/usr/bin/env bash
# The services of docker-compose.yml without a container engine: redis-server, control plane and marketplace as processes of this
# machine, then the demo's own curl, until the incident is resolved. Exit code 1 says where it stopped. Everything ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:?the program, as in: deploy/stack.sh target/release/sre-space}")
within=${2:-240}
command -v redis-server >/dev/null || { echo "not to be had here: redis-server" >&2; exit 2; }

dir=$(mktemp -d)
pids=()
end() {
    local pid
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$dir"
}
trap end EXIT
stopped() {
    echo "stopped: $1" >&2
    tail -n 20 "$dir"/*.log >&2 || true
    exit 1
}
until_true() {
    local what=$1 left=$2
    shift 2
    until "$@" >/dev/null; do
        [ "$((left--))" -gt 0 ] || stopped "no $what"
        sleep 1
    done
}

redis_port=${STACK_REDIS_PORT:-16390}
web_port=${STACK_WEB_PORT:-7101}
http_port=${STACK_HTTP_PORT:-8001}
otlp_port=${STACK_OTLP_PORT:-4317}
api=http://localhost:$http_port
export ENV=local
export SRE_SPACE_INGEST_TOKENS=marketplace-web=demo-web,quote-engine=demo-quote,rating-provider=demo-rating,deployer=demo-deployer
marketplace=("$program" marketplace --dir "$dir/demo" --port "$web_port" --otlp "http://127.0.0.1:$otlp_port"
    --load "${STACK_LOAD:-60}")

"${marketplace[@]}" --prepare
(cd "$dir" && exec redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly yes) >"$dir/redis.log" 2>&1 &
pids+=($!)
pong() { redis-cli -p "$redis_port" ping 2>/dev/null; }
until_true "Redis" 10 pong

SRE_SPACE_BUS=redis REDIS_URL=redis://127.0.0.1:$redis_port \
    SRE_SPACE_HTTP_ADDR=127.0.0.1:$http_port SRE_SPACE_OTLP_GRPC_ADDR=127.0.0.1:$otlp_port SRE_SPACE_OTLP_HTTP_ADDR=off \
    SRE_SPACE_DATA_DIR="$dir/control-plane" SRE_SPACE_REPO="$dir/demo/marketplace.git" \
    SRE_SPACE_DEMO_URL=http://127.0.0.1:$web_port "$program" serve >"$dir/serve.log" 2>&1 &
pids+=($!)
until_true "control plane" 30 curl -sf "$api/readyz"
"${marketplace[@]}" >"$dir/marketplace.log" 2>&1 &
pids+=($!)

served() {
    local services
    services=$(curl -sf "$api/api/v1/services")
    grep -o '"requests":[0-9]*' <<<"$services" | cut -d: -f2 | awk '$1 >= 300 { busy++ } END { exit !(busy >= 3) }' || return 1
    ! grep -o '"state":"[a-z]*"' <<<"$services" | grep -qv healthy
}
until_true "healthy traffic of three services" 120 served
echo "injecting: $(curl -sf -X POST "$api/demo/inject-failure?type=500")"
resolved() {
    local incidents
    incidents=$(curl -sf "$api/api/v1/incidents")
    if grep -qE '"state":"(escalated|awaiting_human)"' <<<"$incidents"; then
        "$program" incidents --server "$api" ls >&2
        stopped "resolved incident: a person is needed"
    fi
    grep -q '"state":"resolved"' <<<"$incidents"
}
until_true "resolved incident within $within s" "$within" resolved
echo "resolved:"
"$program" incidents --server "$api" ls
redis-cli -p "$redis_port" xinfo stream otlp_spans | sed -n '/entries-added/{n;s/^/otlp_spans: entries added /p}'
