/** The smaller examples, each driven once: a person who decides, a campaign, a fan-out, an agent, lanes, a push. */
import { check, eventually } from "./client.ts";
import type { Client, Run } from "./client.ts";
import { heading, note } from "./printer.ts";

/** The tools of the demo for these examples. */
export type Stage = {
  readonly client: Client;
  /** Unique for each invocation. */
  readonly tag: string;
  /** Starts a run with an id of its own. */
  readonly start: (workflow: string, what: string, input: object) => Promise<string>;
  /** Shows the history of the run as it grows, until the condition holds. */
  readonly watch: (id: string, arrived: (run: Run) => boolean) => Promise<Run>;
  readonly checkMails: (to: string, subjects: readonly string[]) => Promise<void>;
};

export async function patterns(stage: Stage): Promise<void> {
  await approval(stage);
  await drip(stage);
  await resize(stage);
  await agent(stage);
  await sync(stage);
  await push(stage);
}

async function approval({ client, tag, start, watch, checkMails }: Stage): Promise<void> {
  heading("An approval is asked about, handed on to somebody else, and decided");
  const [approver, other] = [`approver+${tag}@example.com`, `delegate+${tag}@example.com`];
  const id = await start("ask-approval", "approval", { what: "a new boat", approver, manager: other });
  await watch(id, isWaiting);
  check((await client.query(id, "stage"))["approver"] === approver, "the query tells who is asked");
  check((await client.update(id, "delegate", { to: other }))["approver"] === other, "the update is answered");
  await client.signal(id, "decision", { approved: true, by: other });
  const run = await watch(id, isEnded);
  check(outputOf(run)["approved"] === true, `run ${id} is approved`);
  await checkMails(approver, ["Please decide"]);
  await checkMails(other, ["Please decide"]);
}

async function drip({ client, tag, start }: Stage): Promise<void> {
  heading("A campaign goes on in one life of its run after the other, until somebody has enough");
  const input = { email: `reader+${tag}@example.com`, pause: "500ms", letters: ["Ebb", "Flood"] };
  const id = await start("drip", "drip", input);
  // A life begins with an empty history: entries of the first are gone in the second.
  await eventually("a second life begins", async () => ((await client.history(id, 0))[0]?.seq === 1 ? null : true));
  await client.signal(id, "unsubscribe", {});
  const { letters } = outputOf(await end(client, id));
  check(Number(letters) >= 2, `run ${id} sent two letters or more, not ${String(letters)}`);
  note(`${String(letters)} letters were sent`);
}

async function resize({ client, start }: Stage): Promise<void> {
  heading("Two hundred images at once, of which one cannot be read");
  const run = await end(client, await start("resize-images", "images", { count: 200, broken: [17] }));
  const { resized, failed } = outputOf(run);
  check(resized === 199 && failed === 1, `199 images are resized and one failed, not ${JSON.stringify(run.output)}`);
  note(`${resized} resized, ${failed} failed`);
}

async function agent({ client, start, watch }: Stage): Promise<void> {
  heading("An agent asks before it does what is dangerous");
  const id = await start("agent", "agent", { task: "search the price of rope\nsend-money 20 EUR to the chandler" });
  const asking = await watch(id, (run) => isWaiting(run) || isEnded(run));
  // A configured language model decides freely; without one, the task itself determines the calls.
  if (!isEnded(asking)) await client.signal(id, "decision", { approved: true, by: "demo" });
  const { model, answer } = outputOf(await watch(id, isEnded));
  check(model !== null || String(answer).includes("sent 20 EUR"), `run ${id} did its task, and says ${String(answer)}`);
  note(String(answer));
}

async function sync({ client, start }: Stage): Promise<void> {
  heading("A burst for two customers in the night's lane, and somebody who waits in the day's");
  const later = ["ada", "ada", "ada", "bob", "bob"].map((customer) => start("sync-later", customer, { customer }));
  const now = start("sync-now", "urgent", { customer: "eve", urgent: true });
  for (const id of await Promise.all([...later, now])) {
    const run = await end(client, id);
    note(`${run.id}  ${run.workflow.padEnd(10)} ${run.status}`);
  }
}

async function push({ client, start }: Stage): Promise<void> {
  heading("A push is announced (GitHub's own calls need GITHUB_SECRET)");
  const commits = [{ id: "0123456789abcdef", message: "Splice the mainbrace", author: { name: "Ann" } }];
  const repository = { full_name: "example/harbour", default_branch: "main" };
  const input = { ref: "refs/heads/main", repository, pusher: { name: "ann" }, commits };
  const run = await end(client, await start("announce-push", "push", input));
  check(outputOf(run)["commits"] === 1, `run ${run.id} announced one commit`);
}

/** Waits for the end of the run without showing its history. */
async function end(client: Client, id: string): Promise<Run> {
  const run = await eventually(`run ${id} ends`, async () => {
    const read = await client.run(id);
    return isEnded(read) ? read : null;
  });
  check(run.status === "completed", `run ${id} is completed, not ${run.status}: ${run.error?.message}`);
  return run;
}

function isEnded({ status }: Run): boolean {
  return ["completed", "failed", "cancelled"].includes(status);
}

function isWaiting({ status, waitingFor }: Run): boolean {
  return status === "waiting" && waitingFor.some(({ kind }) => kind === "signal");
}

function outputOf({ output }: Run): Readonly<Record<string, unknown>> {
  return (output ?? {}) as Readonly<Record<string, unknown>>;
}
