/**
 * Stand-ins for runs, as lanes speak to them: a test says what each answers. Runs that no test speaks
 * for answer for themselves.
 */
import { HoldfastError } from "../../src/core/error.ts";
import type { Ticket } from "../../src/core/lane/ticket.ts";
import { answer } from "../../src/objects/answer.ts";
import type { Answer } from "../../src/objects/answer.ts";
import type { HolderRpc } from "../../src/objects/rpc/lane.ts";

/** What a run answers; "gone": there is no such run; "damaged": it cannot be read; "lost": it cannot be reached. */
type Reply = boolean | "gone" | "damaged" | "lost";

export type Holder = {
  /** What it was told and asked, in order. */
  readonly heard: { readonly what: "granted" | "holds"; readonly lane: string; readonly turn: number }[];
  granted: Reply | (() => Promise<Reply>);
  holds: Reply | (() => Promise<Reply>);
};

const holders = new Map<string, Holder>();

/** Speaks for the run from now on: it takes what it is granted, and holds what it is asked about. */
export function speakFor(runId: string, replies: Partial<Pick<Holder, "granted" | "holds">> = {}): Holder {
  const holder: Holder = { heard: [], granted: true, holds: true, ...replies };
  holders.set(runId, holder);
  return holder;
}

type Talk = HolderRpc["granted"];

/** Puts the stand-ins before the methods of the run object. */
export function standIn(prototype: object): void {
  for (const what of ["granted", "holds"] as const) {
    const own = Reflect.get(prototype, what) as Talk | undefined;
    const value = function (this: object, lane: string, ticket: Ticket, turn: number): Promise<Answer<boolean>> {
      const holder = holders.get(ticket.runId);
      if (holder !== undefined) return reply(holder, what, lane, turn);
      return own === undefined ? answer(() => replied("gone")) : Reflect.apply(own, this, [lane, ticket, turn]);
    };
    Object.defineProperty(prototype, what, { value, configurable: true, writable: true });
  }
}

function reply(holder: Holder, what: "granted" | "holds", lane: string, turn: number): Promise<Answer<boolean>> {
  holder.heard.push({ what, lane, turn });
  const said = holder[what];
  return answer(async () => replied(typeof said === "function" ? await said() : said));
}

function replied(said: Reply): boolean {
  if (said === "gone") throw new HoldfastError("run_not_found", "no run has this id");
  if (said === "damaged") throw new HoldfastError("journal_corrupt", "the journal is damaged");
  if (said === "lost") throw new HoldfastError("config_invalid", "the run cannot be reached");
  return said;
}
