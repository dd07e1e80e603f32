import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { parseKeys, Vault } from "../../src/core/cipher.ts";
import { SqlJournal } from "../../src/store/journal.ts";
import { testJournal } from "../engine/journal-suite.ts";

let journals = 0;

testJournal("Durable Object SQL", async (act) => {
  const stub = env.RUNS.getByName(`journal-${journals++}`);
  await runInDurableObject(stub, async (_instance, { storage }) => {
    await act(new SqlJournal(storage), () => new SqlJournal(storage));
  });
});

const settings = env as unknown as Record<string, string | undefined>;
const ring = parseKeys(`k1:${btoa(String.fromCharCode(...new Uint8Array(32).fill(5)))}`);

testJournal(
  "Durable Object SQL, sealed",
  async (act) => {
    const stub = env.RUNS.getByName(`journal-${journals++}`);
    await runInDurableObject(stub, async (_instance, { id, storage }) => {
      const vault = new Vault(
        id.toString(),
        () => ring,
        (length) => crypto.getRandomValues(new Uint8Array(length)),
      );
      const open = () => new SqlJournal(storage, undefined, vault);
      await act(open(), open);
    });
  },
  Number(settings["JOURNAL_LARGEST"] || 600_000),
);
