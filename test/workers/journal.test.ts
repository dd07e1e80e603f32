import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { SqlJournal } from "../../src/store/journal.ts";
import { testJournal } from "../engine/journal-suite.ts";

let journals = 0;

testJournal("Durable Object SQL", async (act) => {
  const stub = env.RUNS.getByName(`journal-${journals++}`);
  await runInDurableObject(stub, async (_instance, { storage }) => {
    await act(new SqlJournal(storage), () => new SqlJournal(storage));
  });
});
