/** Workflows that do what no workflow should: each has to come to an end that can be read, and harm nobody. */
import { defineWorkflow } from "../../../src/index.ts";
import type { Step } from "../../../src/index.ts";

function frozen(): Error {
  return Object.freeze(new Error("frozen"));
}

/** Whatever is asked of it, it throws. */
function hostile(): object {
  const fail = (): never => {
    throw new Error("do not touch");
  };
  const handler = { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail };
  return new Proxy({}, handler);
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}

function thorny(): Error {
  const error = new Error("thorny");
  for (const name of ["name", "message", "stack", "cause", "code", "toString", "toJSON", "errors"]) {
    Object.defineProperty(error, name, {
      get: () => {
        throw new Error(`do not read ${name}`);
      },
    });
  }
  return error;
}

function endless(): Error {
  const error = new Error("round and round");
  error.cause = error;
  return error;
}

function deep(): Error {
  let error = new Error("the bottom");
  for (let level = 0; level < 20_000; level++) error = new Error(`level ${level}`, { cause: error });
  return error;
}

/** What is thrown, by name. */
export const thrown: Readonly<Record<string, () => unknown>> = {
  null: () => null,
  undefined: () => undefined,
  "a text": () => "no",
  "a number": () => Number.NaN,
  "a big integer": () => 12n,
  "a symbol": () => Symbol("no"),
  "a function": () => () => {},
  "an object without a prototype": () => Object.create(null) as unknown,
  "a frozen error": frozen,
  "an error none of whose fields can be read": thorny,
  "a proxy that refuses everything": hostile,
  "a proxy that was revoked": revoked,
  "an error that is its own cause": endless,
  "an error with 20,000 causes": deep,
  "an error with a message of a megabyte": () => new Error("x".repeat(1_000_000)),
  "an error with half a surrogate pair and NUL": () => new Error("\ud800\0"),
  "an error whose name is no text": () => Object.assign(new Error("odd"), { name: { a: 1 } }),
  "an aggregate of ten thousand": () => new AggregateError(Array.from({ length: 10_000 }, () => new Error("one"))),
};

/** What is returned, by name: the code it fails with, or null where it is none of ours that it is odd. */
export const returned: Readonly<Record<string, readonly [make: () => unknown, code: string | null]>> = {
  "a promise that never settles": [() => new Promise(() => {}), "step_timeout"],
  "a thenable that never calls back": [() => ({ then: () => {} }), "step_timeout"],
  "a thenable that calls back twice": [
    () => ({
      then: (resolve: (value: number) => void) => {
        resolve(1);
        resolve(2);
      },
    }),
    null,
  ],
  "a thenable that throws once it has called back": [
    () => ({
      then: (resolve: (value: number) => void) => {
        resolve(1);
        throw new Error("too late");
      },
    }),
    null,
  ],
  "a thenable whose then cannot be read": [
    () => ({
      get then() {
        throw new Error("do not read then");
      },
    }),
    "step_failed",
  ],
  "a function": [() => () => {}, "value_uncloneable"],
  "a symbol": [() => Symbol("no"), "value_uncloneable"],
  "a proxy that refuses everything": [hostile, "step_failed"],
  "an object whose field throws": [
    () => ({
      get field() {
        throw new Error("do not read field");
      },
    }),
    "value_uncloneable",
  ],
  "a weak map": [() => new WeakMap(), "value_uncloneable"],
  "the step itself": [() => returned, "value_uncloneable"],
};

const thrower = defineWorkflow("venom-throw", {
  retry: { limit: 0 },
  handler: async ({ what, where }: { what: string; where: "step" | "handler" | "caught" }, step) => {
    const act = (): never => {
      throw thrown[what]?.();
    };
    if (where === "handler") act();
    if (where === "step") return await step.run("act", act);
    return await step.run("act", act).catch((error: unknown) => (error as { code?: unknown }).code);
  },
});

const returner = defineWorkflow("venom-return", {
  retry: { limit: 0 },
  handler: async ({ what }: { what: string }, step) =>
    await step.run("act", () => returned[what]?.[0](), { timeout: 60 }),
});

/** What effects there were of those that came too late. */
export const late: string[] = [];

const acts: Readonly<Record<string, (step: Step) => unknown>> = {
  "awaits outside a step": async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    await crypto.subtle.digest("SHA-256", new Uint8Array(1000));
    await new Response("body").text();
    return "done";
  },
  "starts steps after it returned": (step) => {
    setTimeout(() => void step.run("late", () => late.push(step.info.id)), 300);
    return "done";
  },
  "calls step from a step": async (step) => await step.run("outer", async () => await step.run("inner", () => "done")),
  "ends twice": (step) => {
    try {
      step.bail("once");
    } catch {
      step.fail(new Error("twice"));
    }
  },
  "calls its steps with nonsense": async (step) => {
    const bad = step as unknown as Record<string, (...given: unknown[]) => Promise<unknown>>;
    const codes: unknown[] = [];
    for (const given of [
      [],
      [null],
      ["", () => 1],
      ["x".repeat(257), () => 1],
      [hostile(), () => 1],
      ["a", 1],
      ["a", () => 1, null],
    ])
      codes.push(await bad["run"]?.(...given).catch((error: { code?: unknown }) => error.code));
    return codes.map((code) => typeof code);
  },
};

const actor = defineWorkflow("venom-act", {
  retry: { limit: 0 },
  handler: async ({ what }: { what: string }, step) => await acts[what]?.(step as unknown as Step),
});

/** Waits for what never comes, and for nothing that we could see. */
const stuck = defineWorkflow("venom-stuck", {
  // Long enough to be looked at before.
  timeout: "5s",
  handler: async (_input: unknown) => {
    await new Promise(() => {});
  },
});

const talker = defineWorkflow("venom-talk", {
  handler: async ({ lines }: { lines: number }, step) => {
    for (let line = 0; line < lines; line++) step.log.info(`line ${line}`, { line });
    for (let line = 0; line < lines; line++) step.progress({ line });
    await step.run("end", () => 1);
    return lines;
  },
});

const namer = defineWorkflow("venom-name", {
  handler: async ({ names }: { names: readonly string[] }, step) => {
    const values: unknown[] = [];
    for (const name of names) values.push(await step.run(name, () => name));
    for (const name of names) values.push(await step.waitFor(name, { timeout: 1 }));
    return values;
  },
});

/** What it is sent is what it returns. */
const waiter = defineWorkflow("venom-wait", {
  handler: async (_input: unknown, step) => await step.waitFor("kept"),
});

export const venomWorkflows = [thrower, returner, actor, stuck, talker, namer, waiter];
