// Draws openapi.json. Everything is set as text, never as markup.
"use strict";

const METHODS = ["get", "post", "put", "delete"];

function make(name, text, ...children) {
  const node = document.createElement(name);
  if (text) node.textContent = text;
  node.append(...children);
  return node;
}

function table(heads, rows) {
  const head = make("tr", "", ...heads.map((text) => make("th", text)));
  const body = rows.map((cells) => make("tr", "", ...cells.map((text) => make("td", text))));
  return make("table", "", make("thead", "", head), make("tbody", "", ...body));
}

function resolved(api, part) {
  if (!part || !part.$ref) return part;
  return part.$ref.slice(2).split("/").reduce((node, key) => node[key], api);
}

function type(schema) {
  if (!schema) return "";
  if (schema.enum) return schema.enum.join(" | ");
  const range = schema.minimum === undefined ? "" : ` ${schema.minimum} to ${schema.maximum}`;
  return [].concat(schema.type || "").join(" or ") + range;
}

function answers(api, responses) {
  return Object.entries(responses).map(([status, part]) => {
    const response = resolved(api, part);
    return [status, response.description, Object.keys(response.content || {}).join(", ")];
  });
}

function shape(api, operation) {
  const content = operation.responses["200"].content || {};
  const schema = (content["application/json"] || {}).schema;
  const item = schema && schema.items ? schema.items : schema;
  return item && item.$ref ? resolved(api, item) : null;
}

function route(api, path, method, operation) {
  const verb = make("span", method.toUpperCase());
  verb.className = "method";
  const what = make("span", ` ${operation.summary}`);
  what.className = "what";
  const box = make("details", "", make("summary", "", verb, make("code", path), what));
  box.id = `${method}${path}`;
  const wanted = (operation.parameters || []).map((one) => [one.name, one.in, type(one.schema), one.description]);
  if (wanted.length) box.append(table(["parameter", "in", "type", ""], wanted));
  if (operation.requestBody) box.append(make("p", `Body: ${Object.keys(operation.requestBody.content).join(", ")}`));
  box.append(table(["status", "", "type"], answers(api, operation.responses)));
  const known = shape(api, operation);
  if (known) box.append(make("pre", JSON.stringify(known, null, 2)));
  return box;
}

function draw(api) {
  document.getElementById("about").textContent = `Version ${api.info.version}. ${api.info.description}`;
  const routes = document.getElementById("routes");
  const links = make("ul");
  for (const tag of api.tags) {
    const note = make("p", tag.description);
    note.className = "note";
    routes.append(make("h2", tag.name), note);
    for (const [path, item] of Object.entries(api.paths)) {
      for (const method of METHODS.filter((name) => item[name] && item[name].tags.includes(tag.name))) {
        const box = route(api, path, method, item[method]);
        routes.append(box);
        const link = make("a", `${method.toUpperCase()} ${path}`);
        link.href = `#${box.id}`;
        link.addEventListener("click", () => { box.open = true; });
        links.append(make("li", "", link));
      }
    }
  }
  document.getElementById("contents").append(links);
}

fetch("openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`status ${answer.status}`))))
  .then(draw)
  .catch((error) => { document.getElementById("about").textContent = `openapi.json cannot be read: ${error.message}`; });
