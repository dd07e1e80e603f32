import { describe, expect, test } from "vitest";
import { decideClaim, stillHolds } from "../../src/core/lane/claim.ts";
import type { Definition, Flow } from "../../src/core/definition/definition.ts";
import { checkFlow, checkSharedLanes, limitsOf, needsOf } from "../../src/core/lane/flow.ts";
import { laneKinds } from "../../src/core/lane/ticket.ts";
import { encode } from "../../src/core/value/value.ts";

const refused = (code: string, text: RegExp): Error =>
  expect.objectContaining({ code, message: expect.stringMatching(text) });

const check = (options: Record<string, unknown>): Flow<never> => checkFlow("orders", options);

/** As much of a definition as limits are made from. */
function define(options: Record<string, unknown>, name = "orders"): Definition {
  return { name, flow: checkFlow(name, options) } as unknown as Definition;
}

const stored = (value: unknown) => encode(value, "the input");

describe("options", () => {
  test("what was given is kept as it was given; others are left out", () => {
    const key = (): string => "a";
    const options = {
      lane: { name: "mail", limit: 5 },
      concurrency: { limit: 2, key, scope: "step", hold: false },
      rateLimit: { limit: 1, period: "1 s" },
      throttle: { limit: 10, period: 250, key },
      singleton: { mode: "queue" },
      debounce: { period: "5 s", key, max: "1 m" },
      priority: -2.5,
    };
    expect(check(options)).toEqual(options);
    expect(check({ handler: key, priority: undefined })).toEqual({});
    expect(check({ concurrency: { limit: 1, scope: "run" } })).toEqual({ concurrency: { limit: 1, scope: "run" } });
    expect(check({ lane: "mail", concurrency: 1, priority: key })).toEqual({
      lane: "mail",
      concurrency: 1,
      priority: key,
    });
  });

  test.each<[Record<string, unknown>, RegExp]>([
    [{ concurrency: 0 }, /orders: concurrency must be a whole number, 1 or more/],
    [{ concurrency: -1 }, /concurrency must/],
    [{ concurrency: 1.5 }, /concurrency must/],
    [{ concurrency: Number.NaN }, /concurrency must/],
    [{ concurrency: Infinity }, /concurrency must/],
    [{ concurrency: "3" }, /concurrency must/],
    [{ concurrency: null }, /concurrency must be an object with limit and key$/],
    [{ concurrency: [3] }, /concurrency must be an object/],
    [{ concurrency: {} }, /concurrency\.limit must/],
    [{ concurrency: { limit: 0 } }, /concurrency\.limit must/],
    [{ concurrency: { limit: 1, key: "tenant" } }, /concurrency\.key must be a function/],
    [{ concurrency: { limit: 1, scope: "steps" } }, /concurrency\.scope must be "run" or "step"/],
    [{ concurrency: { limit: 1, hold: "yes" } }, /concurrency\.hold must be true or false/],
    [{ concurrency: { limit: 1, hold: true, scope: "step" } }, /concurrency\.hold is for runs/],
    [{ concurrency: { limit: 1, keys: () => "a" } }, /concurrency\.keys is unknown; there are limit, key/],
    [{ lane: "" }, /orders: lane is refused: .*not empty/],
    [{ lane: 7 }, /lane must be an object/],
    [{ lane: "l".repeat(257) }, /lane is refused: .*256 characters/],
    [{ lane: "half \uD800" }, /lane is refused: .*well-formed/],
    [{ lane: { name: "mail" } }, /lane\.limit must/],
    [{ lane: { limit: 3 } }, /lane\.name is refused/],
    [{ lane: { name: "mail", limit: 2, key: () => "a" } }, /lane\.key is unknown/],
    ...laneKinds.map((kind): [Record<string, unknown>, RegExp] => [
      { lane: `${kind}:orders` },
      new RegExp(`lane is refused: .*cannot begin with "${kind}:"`),
    ]),
    [{ rateLimit: 5 }, /rateLimit must be an object/],
    [{ rateLimit: { limit: 5 } }, /rateLimit\.period is refused/],
    [{ rateLimit: { limit: 0, period: "1 s" } }, /rateLimit\.limit must/],
    [{ rateLimit: { limit: 1, period: 0 } }, /rateLimit\.period must be longer than nothing/],
    [{ rateLimit: { limit: 1, period: "0 s" } }, /rateLimit\.period must be longer than nothing/],
    [{ rateLimit: { limit: 1, period: "1 fortnight" } }, /rateLimit\.period is refused: .*fortnight/],
    [{ throttle: { limit: 1, period: -1 } }, /throttle\.period is refused/],
    [{ throttle: { limit: 1, period: "1 s", burst: 2 } }, /throttle\.burst is unknown/],
    [{ singleton: true }, /singleton must be an object/],
    [{ singleton: {} }, /singleton\.mode must be "skip", "replace" or "queue"/],
    [{ singleton: { mode: "drop" } }, /singleton\.mode must/],
    [{ singleton: { mode: "skip", key: 7 } }, /singleton\.key must be a function/],
    [{ debounce: { key: () => "a" } }, /debounce\.period is refused/],
    [{ debounce: { period: "1 s", max: 0 } }, /debounce\.max must be longer than nothing/],
    [{ debounce: { period: "1 s", maximum: "2 s" } }, /debounce\.maximum is unknown/],
    [{ priority: "high" }, /priority must be a finite number or a function/],
    [{ priority: Infinity }, /priority must/],
    [{ priority: null }, /priority must/],
  ])("%j is refused, and the message names workflow and option", (options, why) => {
    expect(() => check(options)).toThrow(refused("options_invalid", why));
    expect(() => check(options)).toThrow(/^workflow orders: /);
  });

  test("a workflow whose name makes no lane is refused only where it needs one", () => {
    const name = "\u{1F300}".repeat(256);
    expect(checkFlow(name, {})).toEqual({});
    expect(() => checkFlow(name, { concurrency: 1 })).toThrow(refused("options_invalid", /1000 bytes/));
  });

  test("a lane that two workflows share has one limit", () => {
    const mails = define({ lane: { name: "mail", limit: 5 } }, "mails");
    const letters = define({ lane: { name: "mail", limit: 6 } }, "letters");
    const cards = define({ lane: "mail" }, "cards");
    expect(() =>
      checkSharedLanes([mails, cards, define({}), define({ lane: { name: "mail", limit: 5 } })]),
    ).not.toThrow();
    expect(() => checkSharedLanes([mails, cards, letters])).toThrow(
      refused("options_invalid", /"mail" has a limit of 5 in workflow mails and of 6 in letters/),
    );
  });
});

describe("needs of a run", () => {
  test("nothing is needed where nothing is limited, and the input is not looked at", () => {
    expect(needsOf(define({}), undefined)).toEqual([]);
    const throws = (): never => {
      throw new Error("never called");
    };
    expect(limitsOf(define({}), "no stored value" as never).lanes).toEqual([]);
    expect(needsOf(define({ priority: throws }), undefined)).toEqual([]);
    expect(needsOf(define({ rateLimit: { limit: 1, period: 1, key: throws } }), undefined)).toEqual([]);
  });

  test("every option, in the one order in which all runs ask", () => {
    const tenant = ({ tenant }: { tenant: string }): string => tenant;
    const definition = define({
      priority: ({ urgent }: { urgent: boolean }) => (urgent ? 10 : 0),
      throttle: { limit: 10, period: "1 s", key: tenant },
      concurrency: { limit: 2, key: tenant, hold: true },
      lane: { name: "mail", limit: 5 },
      singleton: { mode: "queue", key: tenant },
    });
    expect(needsOf(definition, { tenant: "acme", urgent: true })).toEqual([
      { lane: "singleton:orders:acme", scope: "run", limit: 1, periodMs: null, priority: 10, hold: true },
      { lane: "mail", scope: "run", limit: 5, periodMs: null, priority: 10, hold: false },
      { lane: "concurrency:orders:acme", scope: "run", limit: 2, periodMs: null, priority: 10, hold: true },
      { lane: "throttle:orders:acme", scope: "run", limit: 10, periodMs: 1000, priority: 10, hold: false },
    ]);
  });

  test("a number, a mere name, and steps instead of runs", () => {
    const one = { limit: 3, periodMs: null, priority: 0, hold: false };
    expect(needsOf(define({ concurrency: 3 }), null)).toEqual([{ ...one, lane: "concurrency:orders", scope: "run" }]);
    expect(needsOf(define({ concurrency: { limit: 3, scope: "step" } }), null)).toEqual([
      { ...one, lane: "steps:orders", scope: "step" },
    ]);
    expect(needsOf(define({ lane: "mail", priority: 4 }), null)).toEqual([
      { ...one, lane: "mail", scope: "run", limit: null, priority: 4 },
    ]);
  });

  test("of a singleton only the queue is one", () => {
    for (const mode of ["skip", "replace"]) expect(needsOf(define({ singleton: { mode } }), null)).toEqual([]);
  });

  test("keys of two workflows never meet, whatever they are called", () => {
    const key = (input: unknown): string => String(input);
    const [laneOfOne] = needsOf(define({ concurrency: { limit: 1, key } }, "a:b"), "c");
    const [laneOfOther] = needsOf(define({ concurrency: { limit: 1, key } }, "a"), "b:c");
    expect(laneOfOne?.lane).not.toBe(laneOfOther?.lane);
  });
});

describe("gates of a start", () => {
  test("each has its lane, with spans in milliseconds; what is not limited is null", () => {
    const key = ({ id }: { id: number }): string => `n${id}`;
    const options = {
      rateLimit: { limit: 3, period: "1 m", key },
      debounce: { period: "5 s", max: "1 m" },
      singleton: { mode: "skip", key },
    };
    expect(limitsOf(define(options), stored({ id: 7 }))).toEqual({
      lanes: [],
      gates: {
        rateLimit: { lane: "rateLimit:orders:n7", limit: 3, periodMs: 60_000 },
        debounce: { lane: "debounce:orders", periodMs: 5000, maxMs: 60_000 },
        singleton: { lane: "singleton:orders:n7", mode: "skip" },
      },
    });
    const none = { rateLimit: null, debounce: null, singleton: null };
    expect(limitsOf(define({}), stored(1)).gates).toEqual(none);
    expect(limitsOf(define({ singleton: { mode: "queue" } }), stored(1)).gates).toEqual(none);
    expect(limitsOf(define({ debounce: { period: 1 } }), stored(1)).gates.debounce?.maxMs).toBeNull();
  });
});

describe("a key", () => {
  const holder = { runId: "a", claimedAt: 100, sinceAt: 50 };
  const ask = { runId: "c", until: "ended", force: true } as const;

  test("that is taken from one run is taken from no other", () => {
    expect(decideClaim(holder, { ...ask, from: "a" }, 200)).toMatchObject({
      claimed: { claimed: true, holder: "a" },
      holder: { runId: "c" },
    });
    expect(decideClaim(holder, { ...ask, from: "b" }, 200)).toEqual({
      claimed: { claimed: false, holder: "a", sinceAt: 50 },
      holder,
    });
    expect(decideClaim(null, { ...ask, from: "b" }, 200).claimed).toMatchObject({ claimed: true, holder: null });
  });

  test("of a debounce is not held by a run that has begun and is queued again", () => {
    const queued = { status: "queued" } as const;
    expect(stillHolds(holder, { ...queued, startedAt: null }, "begun", 1e9)).toBe(true);
    expect(stillHolds(holder, { ...queued, startedAt: 7 }, "begun", 1e9)).toBe(false);
    expect(stillHolds(holder, { ...queued, startedAt: 7 }, "ended", 1e9)).toBe(true);
  });
});

describe("functions of the input", () => {
  const cases: [string, (key: unknown) => Record<string, unknown>][] = [
    ["concurrency", (key) => ({ concurrency: { limit: 1, key } })],
    ["concurrency", (key) => ({ concurrency: { limit: 1, key, scope: "step" } })],
    ["throttle", (key) => ({ throttle: { limit: 1, period: 1, key } })],
    ["rateLimit", (key) => ({ rateLimit: { limit: 1, period: 1, key } })],
    ["singleton", (key) => ({ singleton: { mode: "queue", key } })],
    ["singleton", (key) => ({ singleton: { mode: "skip", key } })],
    ["debounce", (key) => ({ debounce: { period: 1, key } })],
  ];
  const keys: [string, unknown, RegExp][] = [
    ["gives null", () => null, /not null/],
    ["gives nothing", () => {}, /not undefined/],
    ["gives a number", () => 7, /not 7/],
    ["gives empty text", () => "", /empty text/],
    ["gives a promise", () => Promise.resolve("a"), /a promise/],
    ["gives an object", () => ({}), /type object/],
    ["gives 257 characters", () => "k".repeat(257), /256 characters/],
    ["gives more bytes than an address takes", () => "\u{1F300}".repeat(256), /1000 bytes/],
    ["gives half a surrogate pair", () => "\uD800", /well-formed/],
    ["reads what is not there", (input: { tenant: { id: string } }) => input.tenant.id, /undefined/],
  ];

  test.each(cases.flatMap(([option, make]) => keys.map((key) => [option, ...key, make] as const)))(
    "a key of %s that %s refuses the start",
    (option, _what, key, why, make) => {
      const definition = define(make(key));
      const start = (): unknown => limitsOf(definition, stored({}));
      expect(start).toThrow(refused("input_invalid", new RegExp(`^the key of ${option} of orders cannot be made`)));
      expect(start).toThrow(why);
    },
  );

  test("what a key threw is the cause of the refusal, for the log", () => {
    const cause = new Error("no tenant");
    const throws = (): never => {
      throw cause;
    };
    const start = (): unknown => limitsOf(define({ singleton: { mode: "skip", key: throws } }), stored({}));
    expect(start).toThrow(expect.objectContaining({ code: "input_invalid", cause }));
  });

  test.each(cases)("a key of %s may have 256 characters", (_option, make) => {
    for (const character of ["k", "\u00e9"]) {
      const { lanes, gates } = limitsOf(define(make(() => character.repeat(256))), stored({}));
      const used = [...lanes, gates.rateLimit, gates.debounce, gates.singleton].filter((each) => each !== null);
      expect(used).toEqual([
        expect.objectContaining({ lane: expect.stringMatching(new RegExp(`:${character}{256}$`, "u")) }),
      ]);
    }
  });

  test.each<[string, unknown, RegExp]>([
    ["text", () => "high", /type string/],
    ["not a number", () => Number.NaN, /NaN/],
    ["infinite", () => Infinity, /Infinity/],
    ["nothing", () => {}, /undefined/],
    ["what is not there", (input: { tenant: { rank: number } }) => input.tenant.rank, /undefined/],
  ])("a priority that is %s refuses the start", (_what, priority, why) => {
    const definition = define({ lane: "mail", priority });
    expect(() => needsOf(definition, {})).toThrow(refused("input_invalid", /^the priority of orders cannot be made/));
    expect(() => needsOf(definition, {})).toThrow(why);
  });

  test("they see the input as the handler gets it, and change nothing of it", () => {
    const seen: unknown[] = [];
    const key = (input: { at: Date; list: number[] }): string => {
      seen.push(structuredClone(input));
      input.list.push(9);
      return "a";
    };
    const input = stored({ at: new Date(5), list: [1] });
    limitsOf(define({ concurrency: { limit: 1, key } }), input);
    limitsOf(define({ concurrency: { limit: 1, key } }), input);
    expect(seen).toEqual([
      { at: new Date(5), list: [1] },
      { at: new Date(5), list: [1] },
    ]);
  });
});
