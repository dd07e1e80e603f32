/**
 * Exported texts that are changed at random and signed again: each is refused with its line, or is a history that can be read,
 * shown, drawn and forked like any other. `TAMPERED_COUNT` sets how many; `TAMPERED_SEED` repeats one.
 */
import { expect, test } from "vitest";
import { timelineOf } from "../../src/core/timeline/chart.ts";
import { Inspection } from "../../src/core/transfer/inspection.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { HoldfastError } from "../../src/core/error.ts";
import { planFork } from "../../src/core/lifecycle/fork.ts";
import { readManifest } from "../../src/core/transfer/manifest.ts";
import { createRandom } from "../../src/core/random.ts";
import { snapshot } from "../../src/core/run/snapshot.ts";
import { sentenceOf } from "../../src/core/sentence/sentence.ts";
import { encode } from "../../src/core/value/value.ts";
import { spansOf } from "../../src/core/trace/tracer.ts";
import { viewHistory, viewRun } from "../../src/http/view.ts";
import golden from "../golden/001-every-kind.json" with { type: "json" };

const given = process.env["TAMPERED_SEED"];
const first = Number(given ?? Math.floor(Math.random() * 1e9));
const count = given === undefined ? Number(process.env["TAMPERED_COUNT"] ?? 500) : 1;

const history = (golden.commits as unknown as Entry[][]).flat();
const created = history.find((entry) => entry.kind === "run.created");
const end = history.at(-1);
const manifest = {
  ...{ format: "holdfast.run", version: 1, run: created?.id, workflow: created?.workflow },
  ...{ workflowVersion: created?.version, status: "completed", seq: end?.seq },
};
const whole: readonly string[] = [manifest, ...history].map((line) => JSON.stringify(line));
const now = (end?.at ?? 0) + 1000;

type Random = ReturnType<typeof createRandom>;
const below = (random: Random, limit: number): number => Math.floor(random.next() * limit);
const pieces = [
  ...['"', "0", "-1", "1e999", "null", "true", "[]", "{}", ",", ":", '"__proto__"', '"constructor":1,', "\\u0000"],
  ...["\\ud800", '"enc1.k.AAAA"', "9007199254740993", '[["Date","x"]]', "e", "[", "}", "-", "completed", "run."],
];

/** Some lines with a piece of them cut out, doubled, or replaced by what stands elsewhere. */
function tamper(random: Random): string[] {
  const lines = [...whole];
  for (let times = 1 + below(random, 3); times > 0; times--) {
    const at = below(random, lines.length);
    const line = lines[at] ?? "";
    const from = below(random, line.length + 1);
    const to = Math.min(line.length, from + below(random, 12));
    const put = pieces[below(random, pieces.length)] ?? "";
    const kind = below(random, 6);
    if (kind === 0) lines[at] = line.slice(0, from) + line.slice(to);
    else if (kind === 1) lines[at] = line.slice(0, from) + put + line.slice(to);
    else if (kind === 2) lines[at] = swapped(line, random);
    else if (kind === 3) lines[at] = valued(line, put);
    else if (kind === 4) lines.splice(at, 1);
    else lines[at] = renamed(line, lines[below(random, lines.length)] ?? "", random);
  }
  return lines;
}

/** A value of the line takes the place of another. */
function swapped(line: string, random: Random): string {
  return edited(line, (fields) => {
    const names = Object.keys(fields);
    const [one = "", other = ""] = [names[below(random, names.length)], names[below(random, names.length)]];
    return { ...fields, [one]: fields[other] };
  });
}

function valued(line: string, put: string): string {
  return edited(line, (fields) => {
    const names = Object.keys(fields);
    return { ...fields, [names[put.length % names.length] ?? ""]: put };
  });
}

/** A field of another line comes along. */
function renamed(line: string, other: string, random: Random): string {
  return edited(line, (fields) => {
    const more = Object.entries(parsed(other) ?? {});
    const [name = "x", value = null] = more[below(random, more.length)] ?? [];
    return { ...fields, [name]: value };
  });
}

function edited(line: string, edit: (fields: Record<string, unknown>) => object): string {
  const fields = parsed(line);
  return fields === null ? line : JSON.stringify(edit(fields));
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const fields: unknown = JSON.parse(line);
    return typeof fields === "object" && fields !== null ? (fields as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** "taken" or "refused". @throws whatever else becomes of it */
function verdictOn(lines: readonly string[]): string {
  const entries: Entry[] = [];
  let inspection: Inspection;
  try {
    const closed = (): never => {
      throw new HoldfastError("key_missing", "there is no key");
    };
    inspection = new Inspection(readManifest(lines[0] ?? ""), now, closed);
    for (const [index, text] of lines.entries()) if (index > 0) entries.push(inspection.admit(text, index + 1));
    inspection.finish({ entries: entries.length, sha256: "" }, lines.length + 1);
  } catch (error) {
    if (error instanceof HoldfastError && /^(?:import_invalid|key_missing)$/.test(error.code)) return "refused";
    throw error;
  }
  const { state } = inspection;
  const run = snapshot(state, { running: 0, inFlight: new Map(), busy: false, stuck: null }, now);
  JSON.stringify([viewRun(run), viewHistory({ entries, next: null }), entries.map(sentenceOf)]);
  for (const span of spansOf(entries, { episode: 0, end: state.seq })) JSON.stringify(span);
  planFork(entries, { from: null, given: [] });
  const { bars, startedAt, endedAt } = timelineOf(entries, { underway: [], now }, { from: 0, limit: 200 });
  for (const at of [startedAt, endedAt, ...bars.map((bar) => bar.endedAt ?? 0)]) new Date(at).toISOString();
  return "taken";
}

test("the text they are made of is taken", () => {
  expect(verdictOn(whole)).toBe("taken");
  expect(encode(1, "one")).toBe("[1]");
});

test(`${count} of them are refused, or can be read`, { timeout: 600_000 }, () => {
  const verdicts = { taken: 0, refused: 0 };
  for (let seed = first; seed < first + count; seed++) {
    try {
      verdicts[verdictOn(tamper(createRandom(`stranger ${seed}`))) as keyof typeof verdicts]++;
    } catch (error) {
      throw new Error(`TAMPERED_SEED=${seed}`, { cause: error });
    }
  }
  expect(verdicts.taken + verdicts.refused).toBe(count);
  if (count > 100) expect([verdicts.taken > 0, verdicts.refused > verdicts.taken]).toEqual([true, true]);
});
