/** What most files of this folder begin with: a Worker in workerd, a ledger that it reports to, and who calls it. */
import { join } from "node:path";
import { afterAll, afterEach, beforeAll } from "vitest";
import { Client } from "./client.ts";
import { Ledger } from "./ledger.ts";
import { Runtime } from "./runtime.ts";

/** Of the file that calls `build`, from its first hook on. */
export let ledger: Ledger;
export let runtime: Runtime;
export let client: Client;

/** Builds the Worker before the tests; when it starts is up to them. @param worker its file, seen from this folder */
export function build(worker: string): void {
  beforeAll(async () => {
    ledger = await Ledger.open();
    runtime = await Runtime.build(join(import.meta.dirname, worker), { LEDGER: ledger.url });
    client = new Client(runtime.origin);
  });

  afterEach(({ task }) => {
    if (task.result?.state === "fail") console.error(`the end of what workerd said:\n${runtime.tail()}`);
  });

  afterAll(async () => {
    await runtime?.discard();
    await ledger?.close();
  });
}
