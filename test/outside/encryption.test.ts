/**
 * What is on disk, byte for byte, with keys and without: the database files of a Worker that was killed, their
 * write-ahead logs included; and that it goes on from them with the next key.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { build, client, runtime } from "./stage.ts";

const keyOf = (id: string, byte: number): string => `${id}:${Buffer.alloc(32, byte).toString("base64")}`;
const [one, two] = [keyOf("k1", 1), keyOf("k2", 2)];
/** What is given while there is no key, and once there is one. */
const [legible, secret] = ["canaryP5JD17XN", "canaryW3VK90QZ"];

build("workers/canary.ts");

/** In which files the word stands, as it is, in UTF-16 or in base64. */
function filesWith(text: string): string[] {
  const shifted = [0, 1, 2].map((shift) =>
    Buffer.from(" ".repeat(shift) + text)
      .toString("base64")
      .slice(4, -4),
  );
  const forms = [text, ...shifted].flatMap((form) => [Buffer.from(form), Buffer.from(form, "utf16le")]);
  const state = join(runtime.folder, "state");
  const files = readdirSync(state, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  const paths = files.map((file) => join(file.parentPath, file.name));
  return paths.filter((path) => {
    const bytes = readFileSync(path);
    return forms.some((form) => bytes.includes(form));
  });
}

/** Puts the word wherever a payload goes, and `label` where none does. */
async function saturate(label: string, word: string): Promise<string> {
  const post = (path: string, body: unknown) => client.call({ method: "POST", path, body });
  const start = (workflow: string, id: string, input: object) =>
    post(`/v1/workflows/${workflow}/runs`, { id: `${label}-${id}`, input: { word, ...input }, labels: { label } });
  await start("canary-everywhere", "every", {});
  await start("canary-parked", "parked", { life: 2 });
  await start("canary-parked", "cancelled", {});
  await start("canary-parked", "retried", { fails: true });
  await start("canary-late", "late", {});
  await post(`/v1/runs/${label}-cancelled/cancel`, { reason: `because ${word}` });
  await post("/v1/signals/nobody", { word });
  await post("/v1/schedules", { id: label, workflow: "canary-child", cron: "0 0 1 1 *", input: { word } });
  const id = `${label}-every`;
  await expect.poll(async () => (await client.run(id)).reason ?? "").toContain("webhook");
  const { waitingFor } = await client.call<{ waitingFor: { url?: string }[] }>({
    method: "GET",
    path: `/v1/runs/${id}`,
  });
  await post(new URL(waitingFor[0]?.url ?? "").pathname, { word });
  await post(`/v1/runs/${id}/updates/turn`, { word });
  await post(`/v1/runs/${id}/signals/go`, { word });
  expect(await client.end(id)).toMatchObject({ status: "failed" });
  // The listing has it by then.
  const path = `/v1/runs?label.label=${label}&status=failed`;
  const listed = async () => (await client.call<{ runs: unknown[] }>({ method: "GET", path })).runs.length;
  await expect.poll(listed).toBe(1);
  return `${label}-parked`;
}

test("without keys every payload is legible on disk, in the database or its log", async () => {
  await runtime.start();
  await saturate("plain", legible);
  await runtime.kill();
  const found = filesWith(legible);
  // The objects of its runs, of a shard at least, and of the scheduler.
  expect(found.length).toBeGreaterThan(6);
  expect(found.some((path) => path.includes("DirectoryObject"))).toBe(true);
  expect(found.some((path) => path.includes("SchedulerObject"))).toBe(true);
});

test("with keys none is, also after another life with the next key", async () => {
  await runtime.start({ variables: { ENCRYPTION_KEYS: one } });
  const parked = await saturate("sealed", secret);
  await runtime.kill();
  expect(filesWith(secret)).toEqual([]);
  expect(filesWith("sealed-every").length).toBeGreaterThan(2);
  await runtime.start({ variables: { ENCRYPTION_KEYS: `${two},${one}` }, deployment: "second" });
  await client.call({ method: "POST", path: `/v1/runs/${parked}/signals/go`, body: { word: secret } });
  expect(await client.end(parked)).toMatchObject({ status: "completed", output: { after: `after ${secret}` } });
  await runtime.kill();
  expect(filesWith(secret)).toEqual([]);
});
