/** Compares what the directory lists with what each run says of itself. */
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "../outside/client.ts";
import { each } from "../outside/concurrency.ts";

type Listed = { readonly id: string; readonly status: string };

/** How long the directory may be late. */
const patienceMs = 30_000;

/** @param known runs that must be listed @returns what is wrong once it has had time to be right */
export async function auditListing(client: Client, known: ReadonlySet<string>): Promise<string[]> {
  let wrong: string[] = [];
  for (const giveUpAt = Date.now() + patienceMs; Date.now() < giveUpAt; await pause(500)) {
    wrong = await compare(client, await walk(client), known);
    if (wrong.length === 0) return [];
  }
  return wrong;
}

async function compare(client: Client, listed: readonly Listed[], known: ReadonlySet<string>): Promise<string[]> {
  const statuses = new Map(listed.map(({ id, status }) => [id, status]));
  const wrong = [...known].filter((id) => !statuses.has(id)).map((id) => `(8) ${id} is not listed`);
  if (statuses.size !== listed.length) wrong.push(`(8) ${listed.length - statuses.size} runs are listed twice`);
  await each([...known], async (id) => {
    const { status } = await client.run(id);
    if (statuses.has(id) && statuses.get(id) !== status)
      wrong.push(`(8) ${id} is ${status}, listed ${statuses.get(id)}`);
  });
  return wrong;
}

/** The whole listing, page by page. */
async function walk(client: Client): Promise<Listed[]> {
  const listed: Listed[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const path: string = `/v1/runs?limit=200${cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
    const page: { runs: Listed[]; cursor: string | null } = await client.call({ method: "GET", path });
    listed.push(...page.runs.map(({ id, status }) => ({ id, status })));
    cursor = page.cursor;
  }
  return listed;
}
