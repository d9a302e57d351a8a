// The monitor in a real browser, over a real demo: a newcomer opens the page, presses Inject Chaos and watches it heal.
//
//   node tests/browser/run.mjs PATH/TO/sre-space [FOLDER FOR SCREENSHOTS]

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [binary, shots] = process.argv.slice(2);
assert(binary, "usage: node run.mjs PATH/TO/sre-space [FOLDER FOR SCREENSHOTS]");
const BROWSER = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const PATIENCE = 120_000;
const AGENTS = ["scout", "cag", "brain", "guardrail", "fixer", "curator", "human"];

const dir = mkdtempSync(join(tmpdir(), "sre-space-browser-"));
const demo = spawn(binary, ["demo", "--dir", dir, "--load", "60", "--port", "18001"], { stdio: ["ignore", "pipe", "inherit"] });
const browser = await chromium.launch({ executablePath: BROWSER, args: ARGS });
try {
  await tell(await address());
  console.log("browser: the whole story holds");
} finally {
  await browser.close();
  demo.kill("SIGINT");
  await new Promise(resolve => demo.once("exit", resolve));
  rmSync(dir, { recursive: true, force: true });
}

/** URL of the monitor, as the demo prints it. */
async function address() {
  for await (const line of createInterface({ input: demo.stdout })) {
    const url = line.match(/^SRE-Space\s+(http:\S+)/)?.[1];
    if (url) return url;
  }
  throw new Error("the demo ended before it printed its address");
}

async function tell(url) {
  const context = await browser.newContext({ viewport: { width: 1400, height: 1000 } });
  context.setDefaultTimeout(PATIENCE);
  const page = await context.newPage();
  const complaints = [];
  page.on("console", message => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", error => complaints.push(String(error)));

  await page.goto(url);
  await page.locator("#link", { hasText: "live" }).waitFor();
  await page.locator("#services tr", { hasText: "healthy" }).nth(2).waitFor();
  await page.waitForFunction(() => document.querySelectorAll("#services tr").length === 3
    && [...document.querySelectorAll("#services tr")].every(row => Number(row.children[2].textContent) > 20));
  await shoot(page, "1-healthy");

  await page.locator("#inject").click();
  await page.locator("#chaos-answer", { hasText: "injected" }).waitFor();
  await page.locator("#services tr", { hasText: "suspect" }).first().waitFor();
  await page.locator("#incidents li").first().waitFor();
  await shoot(page, "2-broken");

  await page.locator("#incidents .pill", { hasText: "resolved" }).waitFor();
  const story = await page.locator("#story").innerText();
  for (const word of ["pool-exhausted", "ALLOW", "RECOVERED", "quote-engine", "db-pool-size"]) {
    assert(story.includes(word), `the story names ${word}:\n${story}`);
  }
  assert.equal(await page.locator("#story pre .add", { hasText: "pool_size:" }).count(), 1, "the diff shows the new value");
  for (const agent of AGENTS) assert(await page.locator(`#trace .${agent}`).count() > 0, `${agent} is heard`);
  await shoot(page, "3-healed");

  const before = await page.locator("#trace li").count();
  await page.reload();
  await page.waitForFunction(count => document.querySelectorAll("#trace li").length >= count, before);

  await page.locator("#ask").click();
  await page.locator("#quotes li.good").nth(3).waitFor();
  await page.setViewportSize({ width: 390, height: 844 });
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert(overflow <= 0, `the page is ${overflow} px wider than a phone`);
  const widths = await page.evaluate(() => [...document.querySelectorAll("section")].map(section => section.clientWidth));
  assert(widths.every(width => width > 300), `every section uses a phone's width: ${widths}`);
  await shoot(page, "4-phone");

  await page.locator("#resolve").click();
  await page.locator("#chaos-answer", { hasText: "resolved" }).waitFor();
  await page.setViewportSize({ width: 1400, height: 1000 });
  await deployed(page, askBeforeMerging());
  await page.locator("#inject").click();
  await page.locator("#incidents li .pill", { hasText: "awaiting human" }).first().waitFor();
  const question = page.locator("#story button", { hasText: "Approve" });
  await question.waitFor();
  await shoot(page, "5-question");
  await linked(context, url);
  await question.click();
  await page.locator("#incidents .pill", { hasText: "resolved" }).nth(1).waitFor();
  const approved = await page.locator("#story").innerText();
  for (const word of ["REQUIRE_APPROVAL", "approved by", "RECOVERED"]) {
    assert(approved.includes(word), `the story names ${word}:\n${approved}`);
  }
  await shoot(page, "6-approved");
  assert.deepEqual(complaints, [], "the browser has nothing to complain of");
}

/** The link of a notice opens its incident, also when there are newer ones. */
async function linked(context, url) {
  const incidents = await (await fetch(new URL("/api/v1/incidents", url))).json();
  const { id } = incidents.at(-1);
  assert(incidents.length > 1, "a newer one");
  const page = await context.newPage();
  await page.goto(new URL(`/monitor?incident=${id}#approve`, url).href);
  await page.locator("#story", { hasText: id }).waitFor();
  await page.close();
}

/** The owners want to be asked from now on; answers the commit that says so. */
function askBeforeMerging() {
  const clone = join(dir, "owners");
  const git = (...args) => execFileSync("git", ["-C", clone, "-c", "user.name=owners", "-c", "user.email=owners@example.com", ...args]);
  execFileSync("git", ["clone", "--quiet", join(dir, "marketplace.git"), clone]);
  const rules = join(clone, ".sre-space.yaml");
  writeFileSync(rules, readFileSync(rules, "utf8").replaceAll("autonomy: auto", "autonomy: approve"));
  // A release of the service that is watched next, so that its arrival can be awaited.
  appendFileSync(join(clone, "config/quote-engine.yaml"), "# Changes are approved by a person.\n");
  git("commit", "--quiet", "--all", "--message", "Ask before merging");
  git("push", "--quiet", "origin", "HEAD:main");
  return String(git("rev-parse", "HEAD")).trim();
}

/** Waits until quote-engine serves a commit and is healthy. */
async function deployed(page, commit) {
  await page.waitForFunction(async commit => {
    const { nodes } = await (await fetch("/api/v1/services")).json();
    const engine = nodes.find(node => node.service === "quote-engine");
    return engine?.revision === commit && engine.state === "healthy";
  }, commit, { polling: 500 });
}

async function shoot(page, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`), fullPage: true });
}
