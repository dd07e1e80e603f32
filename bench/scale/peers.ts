/**
 * What others publish. Prices change: each is as it was read, with the address it is about, on the day that `readAt`
 * says. `second` means that the page itself could not be read, only what somebody else wrote down of it.
 */
import { hosted } from "./bill.ts";

export type Peer = {
  readonly name: string;
  readonly unit: string;
  /** US dollars a million units, the first and the lowest that is published; null where none is. */
  readonly perMillion: readonly [number, number];
  /** Units that a run of five quick steps is. */
  readonly unitsOfFiveSteps: number;
  readonly besides: string;
  readonly address: string;
  readonly hand: "first" | "second";
};

export const readAt = "21 November 2026";

export const peers: readonly Peer[] = [
  {
    name: "Cloudflare Workflows",
    unit: "step, sleeps and waits included",
    perMillion: [hosted.perStep * 1e6, hosted.perStep * 1e6],
    unitsOfFiveSteps: 5,
    besides: "requests, CPU time, storage; 500,000 steps a month included",
    address: "https://developers.cloudflare.com/changelog/post/2026-07-07-workflows-billing-updates/",
    hand: "first",
  },
  {
    name: "Temporal Cloud",
    unit: "action: a start, each activity and each retry of one, a timer, a signal",
    perMillion: [50, 25],
    unitsOfFiveSteps: 6,
    besides: "your own workers, storage by the hour, a plan of 10 % or $500 a month; beyond 200 million by agreement",
    address: "https://docs.temporal.io/cloud/pricing",
    hand: "first",
  },
  {
    name: "Inngest",
    unit: "execution: a run, and each of its steps",
    perMillion: [50, 50],
    unitsOfFiveSteps: 6,
    besides: "your own compute, a plan; the price of the first 1 to 5 million beyond it",
    address: "https://www.inngest.com/pricing",
    hand: "second",
  },
  {
    name: "Restate Cloud",
    unit: "action: a call is two, and each durable step one",
    perMillion: [25, 10],
    unitsOfFiveSteps: 7,
    besides: "your own compute, a plan from $75 a month with 5 million",
    address: "https://restate.dev/pricing",
    hand: "second",
  },
  {
    name: "DBOS (Conductor)",
    unit: "checkpoint: taken here as a run, and each of its steps",
    perMillion: [50, 40],
    unitsOfFiveSteps: 6,
    besides: "your own compute and Postgres, a plan from $99 a month with 1 million; the library itself is free",
    address: "https://www.dbos.dev/dbos-pricing",
    hand: "second",
  },
  {
    name: "Trigger.dev",
    unit: "run",
    perMillion: [25, 25],
    unitsOfFiveSteps: 1,
    besides: "every second a run computes, from $0.0000169; waits of more than 5 s are free",
    address: "https://trigger.dev/pricing",
    hand: "second",
  },
];
