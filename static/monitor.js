// The monitor: everything shown comes from the API and is set as text, never as markup.
"use strict";

const server = new URLSearchParams(location.search).get("server")?.replace(/\/$/, "") ?? "";
const at = id => document.getElementById(id);
const MOST_LINES = 400;
// A link in a notice names the incident; to decide, a person still has to press.
let selected = new URLSearchParams(location.search).get("incident");
let incidents = [];

function element(name, text, classes) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

async function read(path) {
  const answer = await fetch(server + path);
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).detail ?? answer.statusText);
  return answer.json();
}

const percent = share => (share * 100).toFixed(share < 0.1 ? 1 : 0) + " %";
const clock = time => new Date(time).toLocaleTimeString("en-GB");
const tone = state => ({ resolved: "good", escalated: "bad", awaiting_human: "bad", suppressed: "dim" })[state] ?? "warn";

// Live events. The server replays what a broken connection missed.
function follow() {
  const source = new EventSource(server + "/events");
  source.onopen = () => link("live", "good");
  source.onerror = () => link("link lost", "bad");
  source.onmessage = message => {
    link("live", "good");
    line(JSON.parse(message.data));
    refresh();
  };
}

function link(text, classes) {
  at("link").textContent = text;
  at("link").className = "pill " + classes;
}

function line(entry) {
  const row = element("li");
  row.append(
    element("span", clock(entry.at), "dim"),
    element("span", entry.agent, entry.agent),
    element("span", "[" + entry.phase + "]", "dim"),
    element("span", entry.text),
  );
  const trace = at("trace");
  const follows = trace.scrollTop + trace.clientHeight >= trace.scrollHeight - 40;
  trace.append(row);
  while (trace.children.length > MOST_LINES) trace.firstChild.remove();
  if (follows) trace.scrollTop = trace.scrollHeight;
}

async function services() {
  const graph = await read("/api/v1/services");
  at("services").replaceChildren(...graph.nodes.map(node => {
    const row = element("tr");
    row.append(
      element("td", node.service),
      element("td", node.state, node.state === "healthy" ? "good" : "bad"),
      element("td", node.rate.toFixed(1)),
      element("td", percent(node.error_ratio), node.error_ratio > 0.05 ? "bad" : ""),
      element("td", node.p95_ms.toFixed(0) + " ms"),
      element("td", node.revision.slice(0, 10), "dim"),
    );
    return row;
  }));
}

// One reading at a time; what happens meanwhile is read once more.
let reading = false;
let stale = false;
async function refresh() {
  stale = true;
  if (reading) return;
  reading = true;
  while (stale) {
    stale = false;
    await show();
  }
  reading = false;
}

async function show() {
  try {
    incidents = await read("/api/v1/incidents?limit=20");
    const open = incidents.filter(incident => !["resolved", "suppressed", "escalated"].includes(incident.state));
    at("headline").textContent = headline(open);
    at("incidents").replaceChildren(...incidents.map(row));
    const shown = incidents.find(incident => incident.id === selected) ?? await older() ?? incidents[0];
    if (shown) story(shown);
  } catch (error) {
    at("headline").textContent = error.message;
  }
}

// The one that is asked for may not be among the newest.
async function older() {
  if (!selected) return null;
  return read("/api/v1/incidents/" + encodeURIComponent(selected)).catch(() => null);
}

function headline(open) {
  if (open.length > 0) return open.map(incident => incident.service + ": " + incident.state.replace("_", " ")).join(" · ");
  const last = incidents[0];
  if (last?.state === "escalated") return last.service + " needs a person";
  return last?.state === "resolved" ? "All is well; " + last.service + " recovered at " + clock(last.closed_at) : "All is well";
}

function row(incident) {
  const made = element("li");
  made.tabIndex = 0;
  made.setAttribute("aria-current", String(incident.id === selected));
  made.append(
    element("span", clock(incident.opened_at), "dim"),
    element("span", incident.service + " " + incident.operation),
    element("span", incident.state.replace("_", " "), "pill " + tone(incident.state)),
  );
  made.onclick = made.onkeydown = event => {
    if (event.type === "keydown" && event.key !== "Enter") return;
    selected = incident.id;
    refresh();
  };
  return made;
}

function facts(pairs) {
  const list = element("dl");
  for (const [name, value, classes] of pairs) {
    if (value === undefined || value === null || value === "") continue;
    list.append(element("dt", name), element("dd", String(value), classes));
  }
  return list;
}

// What a signal counts as good or bad.
function counted({ kind }) {
  return ["memory-trend", "amplification"].includes(kind) ? "seconds" : "requests";
}

function story(incident) {
  const parts = [facts([
    ["incident", incident.id],
    ["state", incident.state.replace("_", " "), tone(incident.state)],
    ["ticket", incident.ticket && "#" + incident.ticket],
    ["signal", percent(incident.signal.observed) + " of " + incident.signal.samples + " " + counted(incident.signal) + " bad; baseline "
      + percent(incident.signal.baseline) + "; statistic " + incident.signal.statistic.toFixed(1) + " over "
      + incident.signal.threshold.toFixed(1)],
    ["seen by", incident.signal.sources.join(", ")],
    ["seen before", incident.similar.map(other => other.service + " " + other.kind + " " + other.score.toFixed(3) + (other.verified ? "" : " (not verified here)")).join(", ")],
    ["person", incident.escalation && incident.escalation.detail, "bad"],
  ])];
  if (incident.diagnosis) parts.push(...diagnosis(incident));
  for (const attempt of incident.attempts) parts.push(...tried(attempt));
  if (incident.proposal) parts.push(...proposal(incident));
  if (incident.recovery) parts.push(...recovery(incident.recovery));
  if (incident.state === "awaiting_human" && incident.proposal) parts.push(question(incident));
  at("story").className = "";
  at("story").replaceChildren(...parts);
}

function diagnosis({ diagnosis, source, counsel, authored, cost }) {
  const terms = diagnosis.terms.map(term => {
    const made = element("div", undefined, "term");
    const bar = element("div", undefined, "bar");
    const fill = element("i", undefined, term.value > 0.95 ? "" : "low");
    fill.style.width = term.value * 100 + "%";
    bar.append(fill);
    made.append(element("span", term.name), bar, element("span", term.value.toFixed(3)), element("span", term.why, "dim"));
    return made;
  });
  return [
    element("h3", "Cause"),
    facts([
      ["kind", diagnosis.kind], ["summary", diagnosis.summary], ["said by", source],
      ["confidence", diagnosis.confidence.toFixed(3)],
      ["rules alone", counsel && counsel.why],
      ["the model's words", counsel && counsel.words],
      ["no source patch", authored && authored.why],
      ["a model's words on its source patch", authored && authored.words],
      ["model cost", cost && cost.calls > 0 ? cost.calls + " calls, " + cost.tokens + " tokens, " + cost.usd.toFixed(4) + " USD" : ""],
      ["candidates", diagnosis.candidates.map(other => other.service + " " + percent(other.score)).join(", ")],
    ]),
    ...terms,
    facts([["evidence", diagnosis.evidence.map(exhibit => exhibit.trace_id.slice(0, 8) + "/" + exhibit.span_id.slice(0, 8)).join(" ")]]),
  ];
}

function proposal(incident) {
  const { proposal, verdict, change } = incident;
  return [
    element("h3", "Change"),
    facts([
      ["proposal", proposal.title], ["trust", proposal.trust.toFixed(3)],
      ["verdict", verdict && verdict.decision, verdict && (verdict.decision === "ALLOW" ? "good" : "bad")],
      ["approved by", incident.approval && incident.approval.by + " at " + clock(incident.approval.at)],
      ["rules", verdict && verdict.rules.join(", ")], ["because", verdict && verdict.reasons.join("; ")],
      ["pull request", change && change.pr && "#" + change.pr + " from " + change.branch],
      ["reproduced by", proposal.reproduces && proposal.reproduces.check + " in " + proposal.reproduces.file],
      ["checks", change && change.checks],
      ["merged", change && change.revision && change.revision.slice(0, 10) + " at " + clock(change.merged_at)],
    ]),
    diff(proposal.diff),
  ];
}

// A person decides about the very change they see: its digest goes with the answer.
function question(incident) {
  const merged = incident.change && incident.change.revision;
  const made = element("div", undefined, "row question");
  const answer = element("p", merged ? "Keep the change, or revert it?" : "Merge the change, or reject it?");
  const button = (word, text, classes) => {
    const press = element("button", text, classes);
    press.onclick = () => decide(incident, word, answer);
    return press;
  };
  made.append(answer, button("approve", merged ? "Keep" : "Approve", "go"), button("reject", merged ? "Revert" : "Reject", "quiet"));
  return made;
}

async function decide(incident, word, answer) {
  const reply = await fetch(server + "/api/v1/incidents/" + incident.id + "/" + word, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ digest: incident.proposal.digest }),
  });
  if (!reply.ok) answer.textContent = (await reply.json().catch(() => ({}))).detail ?? reply.statusText;
}

function diff(text) {
  const made = element("pre");
  for (const line of text.split("\n")) {
    const kind = line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : line.startsWith("@@") ? "hunk" : "";
    made.append(element("span", line + "\n", kind));
  }
  return made;
}

function recovery(seen) {
  return [
    element("h3", "Recovery"),
    facts([
      ["verdict", seen.verdict, seen.verdict === "RECOVERED" ? "good" : "bad"],
      ["samples", seen.samples + ", " + seen.bad + " bad, " + seen.probes + " probes"],
      ["statistic", seen.statistic.toFixed(2) + " (healthy below -" + seen.threshold.toFixed(2) + ", faulty above "
        + seen.threshold.toFixed(2) + ")"],
      ["because", seen.reason],
    ]),
  ];
}

function tried(attempt) {
  const pull = change => change && change.pr ? "#" + change.pr : "none";
  return [
    element("h3", "Attempt " + attempt.number),
    facts([
      ["ended", attempt.ended], ["verdict", attempt.recovery && attempt.recovery.verdict, "bad"],
      ["pull request", pull(attempt.change)], ["revert", pull(attempt.revert)],
    ]),
  ];
}

async function press(path) {
  const answer = await fetch(server + path, { method: "POST" });
  const body = await answer.json().catch(() => ({}));
  at("chaos-answer").textContent = answer.ok ? JSON.stringify(body) : body.detail ?? answer.statusText;
}

function quotes() {
  at("quotes").replaceChildren(...["u1", "u2", "u3", "u4"].map(user => {
    const card = element("li", user + " …", "dim");
    fetch(server + "/quote?user_id=" + user).then(async answer => {
      if (!answer.ok) throw new Error(await answer.text());
      card.textContent = user + ": " + ((await answer.json()).cents / 100).toFixed(2) + " a month";
      card.className = "good";
    }).catch(error => {
      card.textContent = user + ": " + error.message;
      card.className = "bad";
    });
    return card;
  }));
}

at("inject").onclick = () => press("/demo/inject-failure?type=" + at("fault").value);
at("resolve").onclick = () => press("/demo/resolve");
at("ask").onclick = quotes;
fetch(server + "/quote?user_id=u1").then(answer => { at("chaos").hidden = answer.status === 404; }).catch(() => {});
follow();
refresh();
services().catch(() => {});
setInterval(() => services().catch(() => {}), 2000);
