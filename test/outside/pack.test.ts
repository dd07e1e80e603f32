/** The package as a project of its own has it: compiled with that project's settings, bundled for Cloudflare, loaded by Node. */
import { execFile, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, sep } from "node:path";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect, test } from "vitest";

const root = join(import.meta.dirname, "..", "..");
const project = join(root, "test-results", "consumer");
const installed = join(project, "node_modules", "holdfast");
/** As a laptop keeps something beside an example that was served there. */
const kept = mkdtempSync(join(root, "examples", ".wrangler-"));
const run = promisify(execFile);

const workflows = `
import { defineWorkflow, HoldfastError, signal } from "holdfast";
export const approve = defineWorkflow("approve", {
  signals: {},
  handler: async (order: { id: string }, step) => {
    const charge = await step.run("charge", ({ idempotencyKey }) => ({ key: idempotencyKey }));
    const decision = await step.waitFor<{ approved: boolean }>("approval:" + order.id, { timeout: "7 days" });
    if (decision === null) return step.bail("nobody decided");
    await step.sleep("3 days");
    return { charge, approved: decision.approved };
  },
});
export const first = defineWorkflow("first", {
  handler: async (_input, step) => await step.race({ rest: () => step.sleep(1), parent: async () => step.info.parent }),
});
export const usage = async () => (await first.get("first").status()).usage;
export const tell = () => signal("approval:7", { approved: true });
export const isOurs = (error: unknown): boolean => error instanceof HoldfastError && error.code === "run_ended";
`;
const moved = `
import { toWorkflow, WorkflowEntrypoint, NonRetryableError } from "holdfast/cloudflare";
import type { WorkflowEvent, WorkflowStep } from "holdfast/cloudflare";
class Orders extends WorkflowEntrypoint<{ KEY: string }, { total: number }> {
  override async run({ payload }: WorkflowEvent<{ total: number }>, step: WorkflowStep) {
    return await step.do("charge", async ({ attempt }) => {
      if (payload.total < 0) throw new NonRetryableError("negative", "Negative");
      return { attempt, key: typeof this.env.KEY };
    });
  }
}
export const orders = toWorkflow("orders", Orders);
export const binding: Workflow<{ total: number }> = orders.binding;
`;
const worker = `
import { DurableObject } from "cloudflare:workers";
import { createWorker, getRun } from "holdfast";
import { approve } from "./workflows.ts";
import { orders } from "./moved.ts";
const holdfast = createWorker({ workflows: [approve, orders] });
export const { RunObject, DirectoryObject, SchedulerObject, LaneObject } = holdfast.objects;
export class Basket extends DurableObject {}
export default {
  async fetch(request, env, ctx): Promise<Response> {
    if (new URL(request.url).pathname !== "/buy") return holdfast.fetch(request, env, ctx);
    const run = await approve.start({ id: "7" }, { id: "order-7" });
    const { output } = await run.status();
    const approved: boolean | undefined = output?.approved;
    return Response.json({ approved, status: (await getRun("order-7").status()).status });
  },
  scheduled: () => holdfast.scheduled(),
} satisfies ExportedHandler;
`;
const rehearsal = `
import { rehearse } from "holdfast/testing";
import { approve, isOurs } from "./workflows.ts";
import { orders } from "./moved.ts";
const order = await rehearse(orders, { total: 1 });
const run = await rehearse(approve, { id: "7" }, { steps: { charge: ({ step }) => ({ key: step }) } });
await run.signal("approval:7", { approved: true });
await run.end();
const output: { approved: boolean } | null = run.output;
const { deaths } = await run.crashEverywhere();
const refused = await run.signal("late").catch(isOurs);
console.log(JSON.stringify({ output, deaths: deaths > 5, refused, order: order.output }));
`;

/** A program that has no Worker, and the types of one. */
const caller = `
import { ApiError, createClient } from "holdfast/client";
import type { approve } from "./workflows.ts";
const client = createClient({ url: "http://127.0.0.1:1", patience: 0 });
const start = client.workflow<typeof approve>("approve").start({ id: "7" });
const approved: Promise<boolean> = start.then((run) => run.result()).then((output) => output.approved);
const refused: unknown = await approved.catch((error: unknown) => error);
console.log(refused instanceof ApiError && refused.code);
`;
const stranger = `
import { createClient } from "holdfast/client";
const run = createClient({ url: "http://127.0.0.1:1" }).getRun<Date>("order-7");
export const year = async (): Promise<number> => (await run.result()).getFullYear();
`;

beforeAll(() => {
  rmSync(project, { recursive: true, force: true });
  mkdirSync(join(project, "node_modules"), { recursive: true });
  writeFileSync(join(kept, "state"), "");
  const pack = [join(root, "scripts", "pack.ts"), "--to", installed];
  const { status, stderr } = spawnSync(process.execPath, pack, { cwd: root, encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  writeFileSync(join(project, "package.json"), `{ "type": "module" }`);
  for (const [name, text] of Object.entries({ workflows, moved, worker, rehearsal, caller, stranger })) {
    writeFileSync(join(project, `${name}.ts`), text);
  }
});

afterAll(() => {
  for (const folder of [kept, project]) rmSync(folder, { recursive: true, force: true });
});

/** What the compiler says of these files; nothing where all is well. */
async function compile(files: readonly string[], options: object): Promise<string> {
  const compilerOptions = {
    ...{ target: "ES2022", lib: ["ES2022"], module: "ESNext", moduleResolution: "Bundler", strict: true, noEmit: true },
    ...{ types: ["@cloudflare/workers-types"], allowImportingTsExtensions: true, ...options },
  };
  const config = join(project, `tsconfig.${Object.values(options).join(".")}.json`);
  writeFileSync(config, JSON.stringify({ compilerOptions, files }));
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  return await run(process.execPath, [tsc, "-p", config]).then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  );
}

test.each([
  { skipLibCheck: true },
  { skipLibCheck: false },
  { skipLibCheck: false, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, lib: ["ES2024"] },
  { skipLibCheck: false, module: "NodeNext", moduleResolution: "NodeNext" },
  { skipLibCheck: false, strict: false },
  // Whatever it exports has a type that it can write down.
  { skipLibCheck: true, declaration: true },
])("a project compiles with it: %o", async (options) => {
  expect(await compile(["worker.ts", "rehearsal.ts"], options)).toBe("");
});

test("its types say what is wrong in the project, and in no other file", async () => {
  const wrong = `import { approve } from "./workflows.ts"; void approve.start({ id: 7 });`;
  writeFileSync(join(project, "wrong.ts"), wrong);
  const said = await compile(["wrong.ts"], { skipLibCheck: false });
  expect(said).toMatch(/^\S*wrong\.ts\(1,\d+\): error TS2322: .*number/);
  expect(
    said
      .trim()
      .split("\n")
      .filter((line) => /^\S+\(\d/.test(line)),
  ).toHaveLength(1);
});

test("it is bundled for Cloudflare, with what Cloudflare has left outside", async () => {
  const { metafile, warnings } = await build({
    entryPoints: [join(project, "worker.ts")],
    outfile: join(project, "out.js"),
    bundle: true,
    format: "esm",
    conditions: ["workerd", "worker", "browser"],
    external: ["cloudflare:*", "node:*"],
    metafile: true,
    logLevel: "silent",
  });
  expect(warnings).toEqual([]);
  const imports = Object.values(metafile.outputs).flatMap((output) => output.imports);
  const outside = imports.filter(({ external }) => external === true).map(({ path }) => path);
  expect([...new Set(outside)].toSorted()).toEqual(["cloudflare:workers", "node:async_hooks"]);
  expect(readFileSync(join(project, "out.js"), "utf8")).not.toContain("there are no Durable Objects outside");
});

test("it has nothing hidden in it, such as the secrets and the runs of a laptop", () => {
  const files = readdirSync(installed, { recursive: true, encoding: "utf8" });
  expect(files).toContain(join("examples", "worker.ts"));
  expect(files.filter((path) => path.split(sep).some((part) => part.startsWith(".")))).toEqual([]);
});

test("its source maps place its sources in the package, not among those of the project", () => {
  const js = join(installed, "js");
  const maps = readdirSync(js).filter((name) => name.endsWith(".map"));
  const sources = maps.flatMap((name) => {
    return (JSON.parse(readFileSync(join(js, name), "utf8")) as { sources: readonly string[] }).sources;
  });
  expect(sources).toContain("../src/core/error.ts");
  expect(sources.filter((source) => !source.startsWith("../src/"))).toEqual([]);
});

test("Node rehearses a workflow with it", async () => {
  const { stdout } = await run(process.execPath, ["rehearsal.ts"], { cwd: project });
  const output = { charge: { key: "charge" }, approved: true };
  expect(JSON.parse(stdout)).toEqual({ output, deaths: true, refused: true, order: { attempt: 1, key: "undefined" } });
});

test("a program outside of the Worker compiles with its client, and without anything of Cloudflare's, and runs", async () => {
  expect(await compile(["caller.ts"], { skipLibCheck: true, types: ["node"] })).toBe("");
  expect(await compile(["stranger.ts"], { skipLibCheck: false, types: ["node"] })).toBe("");
  expect(await compile(["stranger.ts"], { skipLibCheck: false, types: [], lib: ["ES2022", "DOM"] })).toBe("");
  expect((await run(process.execPath, ["caller.ts"], { cwd: project })).stdout).toBe("unreachable\n");
});

test("a program in a browser gets the client, and nothing of the engine", async () => {
  const { metafile } = await build({
    entryPoints: [join(project, "stranger.ts")],
    bundle: true,
    write: false,
    minify: true,
    format: "esm",
    metafile: true,
  });
  const [output] = Object.values(metafile.outputs);
  expect(output?.imports).toEqual([]);
  expect(output?.bytes).toBeLessThan(40_000);
});
