/** A run whose code is another when its process ends: so is the deployment, in every life. */
import { env } from "cloudflare:workers";
import { afterAll, beforeAll } from "vitest";
import { outputOf } from "./driver.ts";
import { interrupted } from "./stage.ts";
import { deedsOf, traceOf } from "./trace.ts";

const settings = env as unknown as Record<string, unknown>;
const { CF_VERSION_METADATA: only } = settings;

beforeAll(() => {
  settings["CF_VERSION_METADATA"] = {
    get id() {
      return crypto.randomUUID();
    },
  };
});

afterAll(() => {
  settings["CF_VERSION_METADATA"] = only;
});

interrupted([
  {
    title: "a change of its code as its process ends",
    workflow: "mortal-changed",
    input: () => ({}),
    calls: [],
    // Which side it takes depends on where it was by then; it is one, to the end.
    trace: (ending) => {
      const [first, second] = outputOf(ending.run) as boolean[];
      const { doubled } = traceOf(ending);
      const done = new Set(deedsOf(ending.run.id).map(({ step }) => step));
      const side = first ? ["before", "new", "new#2"] : ["before", "old", "old#2"];
      return {
        status: ending.run.status,
        same: first === second,
        doubled,
        others: [...done].filter((step) => !side.includes(step)),
        missing: side.filter((step) => !done.has(step)),
      };
    },
  },
]);
