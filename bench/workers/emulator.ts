/** The same workflows on the hosted product's `[[workflows]]` binding, behind a Worker of the same shape. */
import { env, WorkflowEntrypoint } from "cloudflare:workers";
import type { WorkflowEvent, WorkflowStep } from "cloudflare:workers";
import { Hono } from "hono";

type Params = { readonly workflow: string; readonly count?: number; readonly ms?: number };

export class BenchWorkflow extends WorkflowEntrypoint<Cloudflare.Env, Params> {
  override async run(event: Readonly<WorkflowEvent<Params>>, step: WorkflowStep): Promise<number | null> {
    const { workflow, count = 0, ms = 0 } = event.payload;
    if (workflow === "parallel") {
      await Promise.all(Array.from({ length: count }, (_, index) => step.do("step", async () => index)));
    } else {
      for (let index = 1; index <= count; index++) await step.do("step", async () => index);
    }
    if (workflow === "inbox") await step.waitForEvent("go", { type: "go", timeout: "1 hour" });
    if (workflow !== "nap") return null;
    const before = Date.now();
    await step.sleep("nap", ms);
    return Date.now() - before - ms;
  }
}

function binding(): Workflow<Params> {
  return (env as unknown as { WORKFLOW: Workflow<Params> }).WORKFLOW;
}

/**
 * There is no call that waits for the end, so the Worker polls: first each millisecond, then at intervals of a twentieth of the
 * elapsed time, because polling slows the run down.
 */
async function ended(instance: WorkflowInstance): Promise<{ status: string; output: unknown }> {
  const before = Date.now();
  for (;;) {
    const { status, output, error } = await instance.status();
    if (status === "complete") return { status: "completed", output };
    if (status === "errored" || status === "terminated")
      throw new Error(`the run ended as ${status}`, { cause: error });
    await scheduler.wait(Math.max(1, (Date.now() - before) / 20));
  }
}

const app = new Hono();

app.post("/v1/workflows/:name/runs", async (context) => {
  const { input } = await context.req.json<{ input: Omit<Params, "workflow"> }>();
  const workflow = context.req.param("name");
  const instance = await binding().create({ params: { ...input, workflow } });
  if (context.req.query("wait") === undefined) return context.json({ id: instance.id, status: "running" }, 201);
  return context.json({ id: instance.id, workflow, ...(await ended(instance)) }, 201);
});

app.get("/v1/runs/:id", async (context) => {
  const instance = await binding().get(context.req.param("id"));
  if (context.req.query("wait") !== undefined) return context.json({ id: instance.id, ...(await ended(instance)) });
  return context.json({ id: instance.id, status: (await instance.status()).status });
});

app.post("/v1/runs/:id/signals/:name", async (context) => {
  const instance = await binding().get(context.req.param("id"));
  await instance.sendEvent({ type: context.req.param("name"), payload: await context.req.json() });
  return context.json({ accepted: true }, 202);
});

export default app;
