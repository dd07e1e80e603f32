/**
 * `npm run demo`: drives a running Holdfast over HTTP, and shows and checks what happens. Exits with 1 if something is wrong.
 *
 * HOLDFAST_URL   where the server is, http://localhost:8787 unless set
 * HOLDFAST_TOKEN a token with the role "operate", if one is needed
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { check, Client, DemoError, eventually } from "./demo/client.ts";
import type { Run } from "./demo/client.ts";
import { patterns } from "./demo/patterns.ts";
import { bad, good, heading, note, showEntry, showMail } from "./demo/printer.ts";

type Sample = { readonly title: string; readonly sender: string; readonly text: string };
type Intake = { readonly sender: string; readonly reviewer: string; readonly [field: string]: unknown };

const client = new Client(process.env["HOLDFAST_URL"] ?? "http://localhost:8787", process.env["HOLDFAST_TOKEN"]);
/** Part of all ids and addresses, so that the demo can be repeated with the same server. */
const tag = Date.now().toString(36);
const labels = { demo: tag };
let started = 0;
/** Whether mails can be read back from the server. */
let hasOutbox = false;
/** How far each run's history has been shown. */
const shown = new Map<string, number>();

try {
  await main();
  heading("All of it went as it should.");
} catch (error) {
  if (!(error instanceof DemoError)) throw error;
  bad(error.message);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  await client.health();
  good(`Holdfast is alive on ${client.url}`);
  hasOutbox = await client.hasOutbox();
  if (!hasOutbox) note("It has no outbox: mails go to its MAIL_URL, and are neither shown nor checked here.");
  await straight("A clean invoice goes straight through", "clean-invoice", "accepted");
  await straight("So does a delivery note, of a different layout", "clean-delivery-note", "accepted");
  await straight("A document that cannot be read goes back to its sender", "broken-invoice", "rejected");
  await reviewed();
  await expired();
  await order();
  await declined();
  await report();
  await patterns({ client, tag, start, watch, checkMails });
  await lists();
}

async function straight(title: string, sample: string, outcome: string): Promise<void> {
  heading(title);
  const { id, input } = await submit(sample, {});
  const run = await watch(id, ended);
  check(run.status === "completed", `run ${id} is completed, not ${run.status}: ${run.error?.message}`);
  checkOutcome(run, outcome);
  await checkMails(input.sender, ["Received", outcome === "accepted" ? "Accepted" : "Rejected"]);
}

async function reviewed(): Promise<void> {
  heading("An invoice that does not add up waits for a person");
  const { id, input } = await submit("anomalous-invoice", {});
  const parked = await watch(id, isWaitingFor("webhook"));
  note(parked.reason ?? "");
  await checkMails(input.reviewer, ["Review"]);
  const link = await reviewLink(id);

  heading("Two days later (or now) the reviewer follows the link");
  const careless = await client.follow(link);
  check(
    careless.status >= 400 && careless.status < 500,
    `a click without a decision is refused, not ${careless.status}`,
  );
  note(`without a decision: ${careless.status}, and the run still waits`);
  check((await client.run(id)).status === "waiting", "a refused click leaves the run waiting");
  const click = await client.follow(`${link}?decision=approve`);
  check(click.status === 200, `the click is accepted, not ${click.status} ${JSON.stringify(click.body)}`);
  note(`?decision=approve: ${click.status} ${String(click.body).trim()}`);
  const again = await client.follow(`${link}?decision=reject`);
  check([200, 410].includes(again.status), `a second click is harmless, not ${again.status}`);
  note(`a second click, now with reject: ${again.status} ${JSON.stringify(again.body)}`);

  const run = await watch(id, ended);
  checkOutcome(run, "approved");
  await checkMails(input.sender, ["Received", "Approved"]);
}

async function expired(): Promise<void> {
  heading("A reviewer stays silent: a reminder after a second, too late after two (by default a day and three days)");
  const { id, input } = await submit("anomalous-invoice", { remindAfter: "1s", reviewTimeout: "2s" });
  const run = await watch(id, ended);
  checkOutcome(run, "expired");
  await checkMails(input.reviewer, ["Review", "Reminder"]);
  await checkMails(input.sender, ["Received", "Not decided"]);
}

async function order(): Promise<void> {
  heading("An order whose payment provider is down twice");
  const { id, email } = await placeOrder({ card: "4242 4242 4242 4242", failPayments: 2 });
  const run = await watch(id, ended);
  check(run.status === "completed", `order ${id} is completed, not ${run.status}: ${run.error?.message}`);
  check((run.output as { attempts?: number }).attempts === 3, "the third attempt to charge succeeded");
  await checkMails(email, ["Your order"]);
}

async function declined(): Promise<void> {
  heading("An order whose card is declined: no retry, a clear end");
  const { id, email } = await placeOrder({ card: "declined" });
  const run = await watch(id, ended);
  check(run.status === "failed" && run.error?.code === "non_retryable", `order ${id} failed as non_retryable`);
  await checkMails(email, ["Your order"]);
}

async function report(): Promise<void> {
  heading("The daily report, started by hand");
  const to = `team+${tag}@example.com`;
  const id = await start("daily-report", "report", { to });
  const run = await watch(id, ended);
  check(run.status === "completed", `report ${id} is completed, not ${run.status}: ${run.error?.message}`);
  await checkMails(to, ["Report"]);
}

async function lists(): Promise<void> {
  heading("The runs of this demo, from the directory");
  const runs = await eventually("the directory lists every run with its end", async () => {
    const listed = await client.labelled("demo", tag);
    return listed.length === started && listed.every(ended) ? listed : null;
  });
  for (const run of runs) note(`${run.id.padEnd(36)} ${run.workflow.padEnd(16)} ${run.status}`);
  heading("Schedules");
  const schedules = await client.schedules();
  for (const { id, cron, timezone, next } of schedules)
    note(`${id}  "${cron}" ${timezone}  next ${next[0] ?? "never"}`);
  check(
    schedules.some((schedule) => schedule.id === "daily-report" && schedule.next.length > 0),
    "the schedule daily-report is known and has a next time",
  );
}

/** Sends one of the sample documents, twice: the second time finds the same run. */
async function submit(sample: string, extra: object): Promise<{ id: string; input: Intake }> {
  const { title, text, sender } = readSample(sample);
  const id = nextId(sample);
  const address = sender.replace("@", `+${tag}-${started}@`);
  const input = { title, text, sender: address, reviewer: `review+${tag}-${started}@example.com`, ...extra };
  const first = await client.start("document-intake", id, input, labels);
  check(first.created, `run ${id} is new`);
  const second = await client.start("document-intake", id, input, labels);
  check(!second.created && second.run.id === id, "the same start again finds the same run");
  note(`run ${id} (started twice, made once)`);
  return { id, input };
}

async function start(workflow: string, what: string, input: object): Promise<string> {
  const id = nextId(what);
  await client.start(workflow, id, input, labels);
  return id;
}

async function placeOrder(extra: object): Promise<{ id: string; email: string }> {
  const id = nextId("order");
  const email = `customer+${tag}-${started}@example.com`;
  const input = { id, email, address: "12 Quay Street, Galway", totalCents: 8990, ...extra };
  await client.start("order", id, input, labels);
  note(`run ${id}`);
  return { id, email };
}

/** Shows the history of the run as it grows, until the condition holds. */
async function watch(id: string, arrived: (run: Run) => boolean): Promise<Run> {
  return await eventually(`run ${id} gets on`, async () => {
    // Read before the history, so that the history has the entries that led to this state.
    const run = await client.run(id);
    for (const entry of await client.history(id, shown.get(id) ?? 0)) {
      showEntry(entry);
      shown.set(id, entry.seq);
    }
    if (!arrived(run) && ended(run))
      throw new DemoError(`run ${id} ended as ${run.status}: ${run.error?.message ?? ""}`);
    return arrived(run) ? run : null;
  });
}

function ended(run: Run): boolean {
  return ["completed", "failed", "cancelled"].includes(run.status);
}

function isWaitingFor(kind: string): (run: Run) => boolean {
  return (run) => run.status === "waiting" && run.waitingFor.some((waiting) => waiting.kind === kind);
}

function checkOutcome(run: Run, outcome: string): void {
  const { outcome: found } = (run.output ?? {}) as { outcome?: string };
  check(found === outcome, `run ${run.id} has the outcome ${outcome}, not ${found}`);
}

/** Checks that exactly these mails were sent to the address, once each and in order; `subjects` are prefixes. */
async function checkMails(to: string, subjects: readonly string[]): Promise<void> {
  if (!hasOutbox) return;
  // The list of runs may be late by a moment.
  const mails = await eventually(`${to} gets ${subjects.length} mails`, async () => {
    const listed = await client.mails(to);
    return listed.length < subjects.length ? null : listed;
  });
  const found = mails.map((mail) => mail.subject);
  const right =
    found.length === subjects.length && subjects.every((subject, index) => found[index]?.startsWith(subject));
  check(right, `${to} got exactly these mails: ${subjects.join(", ")}; it got: ${found.join(", ") || "none"}`);
  mails.forEach(showMail);
}

/** The address of the run's open webhook, as its history has it. */
async function reviewLink(id: string): Promise<string> {
  const url = (await client.history(id, 0)).find((entry) => entry.kind === "webhook.created")?.["url"];
  check(typeof url === "string", `the history of ${id} has the address of its webhook`);
  return url;
}

function readSample(name: string): Sample {
  const file = join(import.meta.dirname, "documents", "samples", `${name}.json`);
  return JSON.parse(readFileSync(file, "utf8")) as Sample;
}

function nextId(what: string): string {
  return `demo-${tag}-${++started}-${what}`;
}
