/** What JavaScript without types may give to handles and bindings: each is refused at once, in words that name it. */
import { expect, it } from "vitest";
import { Binding } from "../../src/cloudflare/binding.ts";
import { createWorker, defineWorkflow, getRun, signal } from "../../src/index.ts";
import type { ForkOptions, SignalOptions, StartOptions, UpdateOptions } from "../../src/index.ts";
import { expectRefusals, refusalOf } from "../core/misuse.ts";
import { heldParcel } from "./flows/client.ts";

const parcel = { due: new Date(0), weights: new Map<string, bigint>(), seal: new Uint8Array() };
const later = Promise.resolve("late") as never;
const badKey = { idempotencyKey: "" } as const;

it("options of a handle", async () => {
  // A trace that is not valid is ignored, because it comes from outside.
  await expectRefusals<Omit<StartOptions, "traceparent">>(
    (options) => heldParcel.start(parcel, options),
    {},
    {
      ...{ id: "no id", delay: null, startAt: "soon", notAfter: 5n, labels: true, notify: null },
      signal: { name: "free", signal: 1 },
    },
  );
  const run = await heldParcel.start(parcel);
  type Sent = Omit<SignalOptions, "traceparent">;
  await expectRefusals<Sent>((options) => run.signal("free", 1, options), {}, badKey);
  await expectRefusals<Sent>((options) => signal("free", 1, options), {}, badKey);
  await expectRefusals<UpdateOptions>((options) => run.update("note", { text: "a" }, options), {}, badKey);
  await expectRefusals<Omit<ForkOptions, "input">>(
    (options) => run.fork(options),
    {},
    { ...badKey, from: later, results: new Map(), id: "no id", reason: 5 },
  );
  await run.terminate();
});

it("arguments of a handle", async () => {
  const run = getRun("misused");
  const calls: [call: () => unknown, refusal: string][] = [
    [() => getRun(later), "id_invalid: a run id is 1 to 128"],
    [() => heldParcel.get(undefined as never), "id_invalid: a run id is 1 to 128"],
    [
      () => heldParcel.start(later),
      "value_uncloneable: the input of held-parcel cannot be kept: it is a promise: await",
    ],
    [
      () => run.signal<string>(later),
      "name_invalid: a signal needs a name that is a string, not a promise: await it first",
    ],
    [() => run.signal("free", later), "value_uncloneable: the payload of signal free cannot be kept: it is a promise"],
    [() => run.query(Symbol("q") as never), "name_invalid: a query needs a name that is a string, not a symbol"],
    [() => run.update(Symbol("u") as never), "name_invalid: an update needs a name that is a string, not a symbol"],
    [() => run.pause({} as never), "options_invalid: the reason must be text of 1 to 4096 characters"],
    [() => signal(undefined as never), "name_invalid: a signal needs a name that is a string, not undefined"],
  ];
  for (const [call, refusal] of calls) expect(await refusalOf(call)).toContain(refusal);
});

it("options of a binding", async () => {
  const binding = new Binding(heldParcel.definition);
  const instance = { id: "no id", params: later, retention: { retention: 1 } };
  type Created = Omit<WorkflowInstanceCreateOptions, "locationHint">;
  await expectRefusals<Created>((options) => binding.create(options), {}, { ...instance, params: () => "params" });
  const batches: [batch: unknown, why: string][] = [
    [undefined, "the options of a batch must be a plain object, not undefined"],
    [{ instances: "x" }, "a batch is an array of 1 to 100 instances"],
    [{ instances: [{}], params: {} }, "a batch has instances, or a count and what is the same for each"],
    [{ count: "3" }, "the count of a batch is a whole number above 0"],
    [{ cuont: 3 }, 'a batch has no option "cuont"; it takes count, instances, params, retention, locationHint'],
    [[null], "the options of an instance of held-parcel must be a plain object, not null"],
    // oxlint-disable-next-line no-sparse-arrays
    [[, {}], "the options of an instance of held-parcel must be a plain object, not undefined"],
  ];
  for (const [batch, why] of batches)
    expect(await refusalOf(() => binding.createBatch(batch as never))).toBe(`options_invalid: ${why}`);
  expect(await refusalOf(() => binding.deleteBatch("x" as never))).toMatch(/^options_invalid: a batch is an array/);
});

it("options of an instance", async () => {
  const instance = await new Binding(heldParcel.definition).create({ params: parcel });
  await expectRefusals<Parameters<WorkflowInstance["sendEvent"]>[0]>(
    (event) => instance.sendEvent(event),
    { type: "free", payload: 1 },
    { type: { type: 1 }, payload: () => "payload" },
  );
  await expectRefusals<WorkflowInstanceTerminateOptions>((o) => instance.terminate(o), {}, { rollback: "yes" });
  await expectRefusals<WorkflowInstanceRestartOptions>((o) => instance.restart(o), {}, { from: { from: "x" } });
  await expectRefusals<WorkflowInstanceSubscribeOptions>(
    (o) => instance.subscribe(o),
    {},
    { cursor: 0.5, filter: "x" },
  );
  expect((await instance.status()).status).toBe("waiting");
  await instance.terminate();
});

it("a Worker's fetch that is handed on without its context", async () => {
  const worker = createWorker({ workflows: [defineWorkflow("nightly", { schedule: "0 3 * * *", handler: () => 1 })] });
  const health = worker.fetch as (request: Request) => Promise<Response>;
  expect((await health(new Request("http://example.com/health"))).status).toBe(200);
});
