/** A query that is asked of random workflows at any time: what their handlers have seen. */
import { expect } from "vitest";
import type { Definition } from "../../src/core/definition/definition.ts";
import type { Entry } from "../../src/core/history/entry.ts";
import { decode } from "../../src/core/value/value.ts";
import { isOutcome } from "./effects.ts";
import type { Run } from "../../src/engine/run.ts";
import type { Life } from "./player.ts";

/** What was answered, by which handler, from what was on record up to the outcome `known`. */
export type Question = {
  readonly handler: Life["handlers"][number];
  readonly known: number;
  readonly answer: readonly string[];
};

/** @param asked the code of the run, whose handlers leave their traces in `own` */
export async function inquire(
  host: { definition: Definition | undefined; readonly run: Run },
  known: number,
  asked: Definition,
  own: Life,
): Promise<Question | null> {
  const { definition, run } = host;
  if (run.state.startedAt === null) return null;
  host.definition = asked;
  const replica = run.replica();
  host.definition = definition;
  const reply = await replica.answer("trace");
  expect(own.effects).toEqual([]);
  expect(reply).toMatchObject({ kind: "answered" });
  const [handler] = own.handlers;
  if (reply.kind === "failed" || handler === undefined) return null;
  return { handler, known, answer: decode(reply.result) as string[] };
}

/**
 * Each was told what the run's own handler has seen by then, neither less nor more.
 * @param isCut that handler may not have come so far
 */
export function checkQuestions(
  questions: readonly Question[],
  { handlers, trace }: Life,
  entries: readonly Entry[],
  isCut: boolean,
): void {
  for (const { handler, known, answer } of questions) {
    const { episode, round } = handler;
    const own = handlers.findLastIndex((each) => each.episode === episode && each.round === round);
    const next = entries.find((entry) => entry.seq > known && isOutcome(entry));
    const isOver = next === undefined || next.kind === "undo.started";
    const notes = trace.filter((note) => note.handler === own && note.outcome <= known);
    // Behind its end the one may see more than the other.
    const end = isOver ? notes.findIndex(({ text }) => text.includes(" caught Error the run has ended ")) : -1;
    const until = next?.seq ?? Infinity;
    const adopted = entries.some(({ kind, seq }) => kind === "patch.adopted" && seq > known && seq < until);
    // What comes behind a patch is seen once that is on record; other branches go on meanwhile.
    const isSeen = ({ outcome, text }: Life["trace"][number]): boolean => outcome < known || answer.includes(text);
    const seen = (adopted ? notes.filter(isSeen) : notes.slice(0, end < 0 ? notes.length : end)).map(
      ({ text }) => text,
    );
    expect(isCut || isOver || own < 0 ? answer.slice(0, seen.length) : answer).toEqual(seen);
  }
}
