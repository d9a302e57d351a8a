#!/usr/bin/env python3
"""Cuts the operations we use out of GitHub's OpenAPI description.

    npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz
    ./generate.py package/generated/api.github.com.json > github.json

The description is GitHub's and Octokit's, MIT licence (LICENSE beside this file). Kept: the schemas of requests and answers,
as JSON Schema, and one smallest sample of each good answer for the fake to lay its own values over.
"""
import json
import sys

REPO = "/repos/{owner}/{repo}"
OPERATIONS = {
    "get": ["", "/installation", "/branches/{branch}", "/rules/branches/{branch}", "/git/ref/{ref}",
            "/git/commits/{commit_sha}", "/git/trees/{tree_sha}", "/git/blobs/{file_sha}", "/commits", "/commits/{ref}",
            "/commits/{ref}/check-runs", "/commits/{ref}/status", "/compare/{basehead}", "/pulls", "/pulls/{pull_number}",
            "/issues", "/issues/{issue_number}", "/issues/{issue_number}/comments"],
    "post": ["/git/refs", "/git/trees", "/git/commits", "/pulls", "/issues", "/issues/{issue_number}/comments",
             "/issues/{issue_number}/labels"],
    "patch": ["/git/refs/{ref}", "/pulls/{pull_number}", "/issues/{issue_number}"],
    "put": ["/pulls/{pull_number}/merge"],
}
OTHERS = [("post", "/app/installations/{installation_id}/access_tokens")]
# Lists of these hold what the fake lays over a sample.
ELEMENTS = ["pull-request-simple", "issue", "issue-comment", "commit", "check-run", "simple-commit-status",
            "repository-rule-detailed", "short-branch", "diff-entry"]
KEPT = {"type", "properties", "required", "items", "enum", "anyOf", "oneOf", "allOf", "not", "format", "minimum", "maximum",
        "minLength", "maxLength", "pattern", "minItems", "maxItems", "uniqueItems", "additionalProperties", "$ref"}

SPEC = json.load(open(sys.argv[1], encoding="utf-8"))
SCHEMAS = {}


def deref(node):
    while "$ref" in node:
        target = SPEC
        for part in node["$ref"].lstrip("#/").split("/"):
            target = target[part]
        node = target
    return node


def schema(node):
    """OpenAPI 3.0 to JSON Schema, without prose."""
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        if name not in SCHEMAS:
            SCHEMAS[name] = None
            SCHEMAS[name] = schema(SPEC["components"]["schemas"][name])
        return {"$ref": "#/schemas/" + name}
    out = {}
    for key, value in node.items():
        if key not in KEPT:
            continue
        if key == "properties":
            out[key] = {name: schema(part) for name, part in value.items()}
        elif key in ("anyOf", "oneOf", "allOf"):
            out[key] = [schema(part) for part in value]
        elif key in ("items", "not", "additionalProperties"):
            out[key] = schema(value)
        else:
            out[key] = value
    if node.get("nullable"):
        return {"anyOf": [{"type": "null"}, out]}
    return out


def sample(node):
    """The smallest value a schema accepts."""
    if node.get("nullable"):
        return None
    node = deref(node)
    if node.get("nullable"):
        return None
    if "enum" in node:
        return node["enum"][0]
    if "allOf" in node:
        made = {}
        for part in node["allOf"]:
            made.update(sample(part) or {})
        return made
    for key in ("oneOf", "anyOf"):
        if key in node and node.get("type") != "object":
            return sample(node[key][0])
    kind = node.get("type", "object")
    if kind == "object":
        return {name: sample(node["properties"][name]) for name in node.get("required", []) if name in node.get("properties", {})}
    if kind == "array":
        return [sample(node["items"])] * node.get("minItems", 0)
    if kind == "string":
        shapes = {"date-time": "2026-01-01T00:00:00Z", "uri": "https://api.github.com/x", "email": "a@example.org"}
        return shapes.get(node.get("format"), "x" * max(1, node.get("minLength", 1)))
    return {"integer": 1, "number": 1, "boolean": False}.get(kind)


def json_schema_of(part):
    found = part.get("content", {}).get("application/json", {}).get("schema")
    return found


def operation(method, path):
    found = SPEC["paths"][path][method]
    query = {}
    for parameter in map(deref, found.get("parameters", [])):
        if parameter["in"] == "query":
            query[parameter["name"]] = schema(parameter["schema"])
    answers, samples = {}, {}
    for status, answer in found["responses"].items():
        body = json_schema_of(deref(answer))
        answers[status] = schema(body) if body else True
        if body and status.startswith("2"):
            samples[status] = sample(body)
    body = json_schema_of(deref(found.get("requestBody", {})))
    return {"method": method, "path": path, "query": query, "request": schema(body) if body else None,
            "answers": answers, "samples": samples}


wanted = [(method, REPO + path) for method, paths in OPERATIONS.items() for path in paths] + OTHERS
operations = [operation(method, path) for method, path in wanted]
schema({"$ref": "#/components/schemas/basic-error"})
elements = {name: sample(SPEC["components"]["schemas"][name]) for name in ELEMENTS if name in SPEC["components"]["schemas"]}
print(json.dumps({
    "about": "A subset of GitHub's OpenAPI description, npm @octokit/openapi 23.0.2, MIT licence; made by generate.py",
    "operations": operations, "elements": elements, "schemas": SCHEMAS,
}, sort_keys=True, separators=(",", ":")))
