/**
 * Lanes while a deployment changes what their workflows say: workerd is killed and comes back with other code, and
 * the runs of before are in their lanes.
 */
import { beforeAll, describe, expect, test, vi } from "vitest";
import { build, client, runtime } from "./stage.ts";

type LaneView = { readonly limit: number | null; readonly used: number; readonly waiting: number };

let life = 0;

build("workers/lanes.ts");
beforeAll(async () => {
  await deploy("old");
  for (const id of ["low-1", "low-2", "low-3"]) await begin("lowered", id, "waiting", { parked: true });
  await begin("replaced", "replaced-1", "running");
  for (const workflow of ["raised", "freed"]) {
    await begin(workflow, `${workflow}-1`, "running");
    for (const id of [`${workflow}-2`, `${workflow}-3`]) await begin(workflow, id, "queued");
  }
  await begin("hastened", "fast-1", "completed");
  for (const id of ["fast-2", "fast-3"]) await begin("hastened", id, "queued");
  await deploy("new");
});

async function deploy(code: "old" | "new"): Promise<void> {
  await runtime.kill();
  await runtime.start({ variables: { CODE: code }, deployment: `deployment-${++life}` });
}

/** Starts the run, and waits until it has come so far. */
async function begin(workflow: string, id: string, status: string, input: object = {}): Promise<void> {
  await client.start(workflow, id, input);
  await until(id, status);
}

async function until(id: string, status: string): Promise<void> {
  // Also before the first test, where there is no `expect.poll`.
  const read = async () => expect(await client.run(id)).toMatchObject({ id, status });
  await vi.waitFor(read, { timeout: 60_000, interval: 50 });
}

function lane(name: string): Promise<LaneView> {
  return client.call({ method: "GET", path: `/v1/lanes/${encodeURIComponent(name)}` });
}

describe("a limit that a deployment has changed", () => {
  test("holds runs that began under a higher one, and none of them takes it back", async () => {
    await begin("lowered", "low-4", "running");
    await begin("lowered", "low-5", "queued");
    for (const id of ["low-1", "low-2"]) {
      await client.signal(id, "go", {}, `${id}/go`);
      await until(id, "queued");
    }
    expect(await lane("concurrency:lowered")).toMatchObject({ limit: 1, used: 1, waiting: 3 });
  });

  test("lets in what is in line under a lower one, without a new start", async () => {
    const full = { limit: 3, used: 3, waiting: 0 };
    await expect.poll(() => lane("concurrency:raised")).toMatchObject(full);
    for (const id of ["raised-1", "raised-2", "raised-3"]) await until(id, "running");
    await begin("raised", "raised-4", "queued");
    expect(await lane("concurrency:raised")).toMatchObject({ limit: 3, used: 3, waiting: 1 });
  });

  test("is gone where the code gives none any more", async () => {
    await begin("freed", "freed-4", "running");
    for (const id of ["freed-1", "freed-2", "freed-3"]) await until(id, "running");
    expect(await lane("mail")).toMatchObject({ limit: null, used: 4, waiting: 0 });
  });

  test("of a rate counts with its period for those in line", async () => {
    for (const id of ["fast-2", "fast-3"]) await until(id, "completed");
    await begin("hastened", "fast-4", "completed");
    expect(await lane("throttle:hastened")).toMatchObject({ limit: 100, waiting: 0 });
  });
});

test("a run at work whose version a deployment has removed gives its slot to the next at once", async () => {
  await client.start("replaced", "replaced-2", {});
  // Well before the lane would ask it.
  const soon = { timeout: 10_000, interval: 50 };
  await expect.poll(() => client.run("replaced-2"), soon).toMatchObject({ status: "running" });
  expect(await client.run("replaced-1")).toMatchObject({ status: "waiting", version: "1" });
});
