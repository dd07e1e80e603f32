/** The timeline of a run, and the story of one of its calls, over HTTP. */
import { describe, expect, it } from "vitest";
import { ask, refusal, runThatIs, start, tokens } from "./client.ts";
import { evict } from "./storage.ts";

type BarJson = {
  readonly key: string;
  readonly index: number;
  readonly status: string;
  readonly startedAt: string;
  readonly endedAt: string | null;
  readonly attempts: readonly { attempt: number; error: { message: string; stack?: string } | null }[];
  readonly rejected: readonly { at: string; reason: string }[];
  readonly child: { id: string } | null;
};
type TimelineJson = {
  readonly bars: readonly BarJson[];
  readonly from: number;
  readonly total: number;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly ended: boolean;
  readonly idle: readonly { from: string; until: string }[];
};

async function timelineOf(id: string, query = ""): Promise<TimelineJson> {
  const { status, body } = await ask(`GET /v1/runs/${id}/timeline${query}`, { token: tokens.read });
  expect(status).toBe(200);
  return body as unknown as TimelineJson;
}

async function storyOf(id: string, key: string): Promise<Record<string, unknown>> {
  const { status, body } = await ask(`GET /v1/runs/${id}/steps/${encodeURIComponent(key)}`, { token: tokens.read });
  expect([status, body["code"]]).toEqual([200, undefined]);
  return body;
}

describe("GET /v1/runs/:id/timeline", () => {
  it("tells the whole way of a run that waits, also after its object was evicted", async () => {
    const { id } = await start("seen-journey", { input: { order: "7", total: 12 } });
    const { waitingFor } = await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "webhook" }, {}] });
    const url = waitingFor.find(({ kind }) => kind === "webhook")?.url ?? "";
    expect((await ask(`POST ${new URL(url).pathname}`, { token: null, headers: { "x-forged": "1" } })).status).toBe(
      403,
    );
    const timeline = await timelineOf(id);
    expect(timeline.bars.map(({ key, status }) => `${key} ${status}`)).toEqual([
      "run:reserve completed",
      "run:charge completed",
      "run:token completed",
      "child:seen-parcel completed",
      "sleep:cool-down completed",
      "webhook:paid open",
      "wait:approval open",
    ]);
    expect(timeline).toMatchObject({ from: 0, total: 7, ended: false });
    expect(timeline.bars[1]?.attempts.map(({ error }) => error?.message ?? null)).toEqual([
      "the bank said 501",
      "the bank said 502",
      null,
    ]);
    expect(timeline.bars[5]?.rejected).toHaveLength(1);
    expect(timeline.idle.length).toBeGreaterThan(0);
    await evict(id);
    const { endedAt: _endedAt, idle: _idle, ...again } = await timelineOf(id);
    const { endedAt: _before, idle: _none, ...before } = timeline;
    expect(again).toEqual(before);
  });

  it("has what is in flight, and comes in parts", async () => {
    const { id } = await start("seen-long", { input: { steps: 230, hold: true } });
    await runThatIs(id, { status: "waiting" });
    const [first, second] = await Promise.all([timelineOf(id, "?limit=200"), timelineOf(id, "?from=200&limit=200")]);
    expect([first.bars.length, second.bars.length, first.total]).toEqual([200, 31, 231]);
    expect(second.bars.map(({ index }) => index)).toEqual(Array.from({ length: 31 }, (_, i) => 200 + i));
    expect(second.bars.at(-1)).toMatchObject({ key: "wait:enough", status: "open" });
  });

  it("refuses what it cannot answer", async () => {
    const { id } = await start("seen-calm");
    expect(await refusal("GET /v1/runs/nobody/timeline")).toBe("404 run_not_found");
    expect(await refusal(`GET /v1/runs/${id}/timeline?limit=0`)).toBe("400 parameter_invalid");
    expect(await refusal(`GET /v1/runs/${id}/timeline?from=-1`)).toBe("400 parameter_invalid");
    expect(await refusal(`GET /v1/runs/${id}/timeline?to=1`)).toBe("400 parameter_unknown");
    expect(await refusal(`GET /v1/runs/${id}/timeline`, { token: null })).toBe("401 token_missing");
    expect(await refusal(`GET /v1/runs/${id}/steps/nothing`)).toBe("404 step_not_found");
    expect(await refusal("GET /v1/runs/nobody/steps/nothing")).toBe("404 run_not_found");
    await ask(`POST /v1/runs/${id}/terminate`);
  });
});

describe("GET /v1/runs/:id/steps/:key", () => {
  it("tells a step's output, its attempts with stacks, and the key they were made under", async () => {
    const { id } = await start("seen-journey", { input: { order: "8", total: 3 } });
    await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "webhook" }, {}] });
    const charge = await storyOf(id, "charge");
    expect(charge).toMatchObject({ key: "run:charge", output: { receipt: "R-8" }, input: null, sensitive: false });
    expect(charge["idempotencyKey"]).toMatch(new RegExp(`^${id}:[0-9a-z]+:charge$`));
    const { attempts } = charge as unknown as BarJson;
    expect(attempts[0]?.error?.stack).toContain("the bank said 501");
    expect(await storyOf(id, "run:reserve")).toMatchObject({
      output: { shelf: 7, at: { $type: "Date", value: "1970-01-01T00:00:00.000Z" } },
    });
  });

  it("tells a child's input from the child itself, and never a sensitive result", async () => {
    const { id } = await start("seen-journey", { input: { order: "9", total: 4 } });
    await runThatIs(id, { status: "waiting", waitingFor: [{ kind: "webhook" }, {}] });
    expect(await storyOf(id, "child:seen-parcel")).toMatchObject({
      input: { weight: 4 },
      output: { tracking: "P-4" },
      idempotencyKey: null,
      child: { workflow: "seen-parcel" },
    });
    const token = await storyOf(id, "token");
    expect(token).toMatchObject({ sensitive: true, output: null, status: "completed" });
    expect(JSON.stringify([token, await timelineOf(id)])).not.toContain("do-not-tell");
  });
});
