/** Runs that do not go on: their pages say what is missing, and what helps. */
import { expect, test } from "vitest";
import { leftText } from "../../src/http/pages/span.ts";
import { accessibility, openStage, stage } from "./stage.ts";

openStage({}, "stuck.ts");

function statusOf(id: string): Promise<{ readonly status: string }> {
  return stage.client.call({ method: "GET", path: `/v1/runs/${id}?wait=1s` });
}

test("a signal under another name than the one that is waited for is shown beside the wait", async () => {
  await stage.client.start("moved", "misspelt", {});
  const page = await stage.visit("/runs/misspelt");
  expect(await page.locator('[data-key="inbox"]').count()).toBe(0);
  await stage.client.call({ method: "POST", path: "/v1/runs/misspelt/signals/aproval", body: {} });
  const inbox = page.locator('[data-key="inbox"]');
  await inbox.getByText("1 signal has come, not taken yet").waitFor();
  expect(await inbox.locator("li").innerText()).toContain("aproval from local");
  expect(await accessibility(page)).toEqual([]);
  await stage.client.call({ method: "POST", path: "/v1/runs/misspelt/signals/approval", body: {} });
  await inbox.waitFor({ state: "detached" });
});

test("a run that the engine paused because no attempt is left offers one way on", async () => {
  await stage.client.start("exhausted", "exhausted", {});
  await expect.poll(() => statusOf("exhausted")).toMatchObject({ status: "paused" });
  const page = await stage.visit("/runs/exhausted");
  expect(await page.locator(".head .button.primary").allInnerTexts()).toEqual(["Retry"]);
});

test("a run that is paused twice says when it was last, and counts its deadlines from the first time", async () => {
  await stage.client.start("wavering", "wavering", {});
  await expect.poll(() => stage.client.run("wavering")).toMatchObject({ status: "running" });
  await stage.client.call({ method: "POST", path: "/v1/runs/wavering/pause" });
  const pauses = async () => (await stage.client.history("wavering")).filter(({ kind }) => kind === "run.paused");
  await expect.poll(pauses).toHaveLength(2);
  const [first, second] = await pauses();
  const { waitingFor } = await stage.client.run("wavering");
  const page = await stage.visit("/runs/wavering");
  const sentence = page.locator("#now-sentence");
  expect(await sentence.innerText()).toMatch(/^Paused by engine: step load has no attempt left/);
  expect(await sentence.locator("time").getAttribute("datetime")).toBe(second?.at);
  // What it says is told as it changes, but not each second of how long ago that was.
  expect(await sentence.locator("[aria-live=off] time").count()).toBe(1);
  const left = leftText(Date.parse(waitingFor[0]?.until ?? "") - Date.parse(String(first?.at)));
  expect(await page.locator(".wait").textContent()).toContain(`over ${left} after it is resumed`);
  await stage.client.call({ method: "POST", path: "/v1/runs/wavering/terminate", body: {} });
});

test("a step that hangs says when its attempt times out, in what the run is doing and in its panel", async () => {
  await stage.client.start("hanging", "hanging", {});
  const page = await stage.visit("/runs/hanging");
  expect(await page.locator(".active li").innerText()).toMatch(/^ask-bank\s*attempt 1, for .*, times out in 1 h/);
  await page.goto(`${stage.origin}/runs/hanging?step=ask-bank`);
  const points = (await page.locator("#panel .points").innerText()).replaceAll(/\s+/g, " ");
  expect(points).toMatch(/Times out in 1 h/i);
  await stage.client.call({ method: "POST", path: "/v1/runs/hanging/terminate", body: {} });
});

test("the failure of a child is one, and leads to the runs that failed of it", async () => {
  for (const id of ["batch-1", "batch-2"]) {
    await stage.client.start("batch", id, {});
    expect(await stage.client.end(id)).toMatchObject({ status: "failed" });
  }
  await stage.listed("failed", 6);
  const page = await stage.visit("/?status=failed");
  const causes = page.locator("#causes");
  expect(await causes.locator("summary").innerText()).toMatch(/^2 failures, 1 cause\s+last (?:\d+ s ago|just now)$/);
  expect(await causes.locator("li").innerText()).toMatch(/the card was declined\s+pay › charge\s+step_failed/);
  expect(await causes.locator("li").innerText()).toMatch(/Failed of it:\s+(order|batch) \(2\)\s+(order|batch) \(2\)/);
  expect(await accessibility(page)).toEqual([]);
  await causes.getByRole("link", { name: "batch (2)" }).click();
  await page.waitForURL("**/?status=failed&cause=*");
  expect(await page.locator(".runs .run-id").allInnerTexts()).toEqual(["batch-2", "batch-1"]);
});

test("a run that failed of a child says of what, and leads to where it happened", async () => {
  await stage.client.start("batch", "batch-3", {});
  await stage.client.end("batch-3");
  await stage.listed("failed&workflow=batch&idPrefix=batch-3", 1);
  const page = await stage.visit("/?workflow=batch&idPrefix=batch-3");
  const what = await page.locator(".cell-what").innerText();
  expect(what.split("\n")).toEqual(["child_failed", "the card was declined"]);
  await page.locator(".run-id").click();
  await page.waitForURL("**/runs/batch-3");
  expect(await page.locator("#now-sentence").innerText()).toMatch(/^Failed in order: the card was declined/);
  const more = page.locator(".now-more");
  expect(await more.innerText()).toMatch(/^It happened in run batch-3\..*pay, 2 generations down\.$/);
  expect(await accessibility(page)).toEqual([]);
  await more.getByRole("link").click();
  await page.getByRole("heading", { name: /^batch-3\..*pay$/ }).waitFor();
});

test("a run that waits for a child says what the last in the line waits for, and leads to it", async () => {
  await stage.client.start("generation", "generation-5", 5);
  await expect
    .poll(() => statusOf("generation-0").catch(() => ({ status: "none" })))
    .toMatchObject({ status: "waiting" });
  const page = await stage.visit("/runs/generation-5");
  const card = page.locator('[data-key="wait-children"]');
  const words = async () => (await card.innerText()).replaceAll(/\s+/g, " ");
  expect(await words()).toMatch(/generation-4 down the line generation-0 waiting waiting for signal go since/);
  expect(await accessibility(page)).toEqual([]);
  // Their ids were given, and tell nothing of their parent.
  expect(await page.getByRole("link", { name: "In the list" }).count()).toBe(0);
  await card.getByRole("link", { name: "generation-0" }).click();
  await page.getByRole("button", { name: "Send go" }).waitFor();
  await page.goto(`${stage.origin}/runs/generation-1`);
  expect(await words()).toMatch(/^A child run generation-0 waiting waiting for signal go since/);
});

test("a run whose code is gone says what brings it on, and its workflow leads to it", async () => {
  await stage.client.start("moved", "behind", {});
  await stage.client.start("dropped", "orphan", {});
  await stage.listed("waiting&workflow=moved", 1);
  await stage.runtime.kill();
  await stage.runtime.start({ variables: { NEXT: "1" }, deployment: "next" });
  const page = await stage.visit("/?workflow=moved");
  // Nobody has told the run, which rests: the list knows what is deployed.
  const row = page.locator("tr", { hasText: "behind" });
  expect(await row.locator(".cell-what").innerText()).toMatch(
    /^version 1 is not deployed\s+waiting for signal approval/,
  );
  expect(await page.locator("tr", { hasText: "misspelt" }).innerText()).not.toContain("deployed");
  expect(await accessibility(page)).toEqual([]);
  await page.goto(`${stage.origin}/runs/behind`);
  const words = async () => (await page.locator(".now").innerText()).replaceAll(/\s+/g, " ");
  expect(await words()).toContain("once a deployment has version 1 again, beside version 2. What comes until then");
  await page.goto(`${stage.origin}/runs/orphan`);
  expect(await words()).toContain("once a deployment has version 1 of the workflow again.");
  await page.getByRole("link", { name: "dropped" }).click();
  await page.getByText("This deployment has no workflow of this name").waitFor();
  expect(await accessibility(page)).toEqual([]);
  await page.getByRole("link", { name: "orphan" }).click();
  await page.waitForURL("**/runs/orphan");
  await page.goto(`${stage.origin}/workflows`);
  expect(await page.locator(".orphans").innerText()).toMatch(/does not have: dropped \(1\)$/);
  expect(await accessibility(page)).toEqual([]);
});
