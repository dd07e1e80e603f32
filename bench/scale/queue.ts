/**
 * A simulation of shards, from a seed: runs come at random (a Poisson process), each is told to the shard that chance
 * gives it, a shard serves one call at a time. Nothing here is measured but the service time it is given.
 */
import { createRandom } from "../../src/core/random.ts";
import { quantile } from "../sample.ts";

export type Traffic = {
  readonly seed: string;
  readonly shards: number;
  readonly callsPerSecond: number;
  /** Mean; each is drawn anew, most are shorter and some several times as long (exponential). */
  readonly serviceMs: number;
  readonly calls: number;
};

export type Waits = {
  /** Share of the time in which a shard is at work. */
  readonly busy: number;
  /** Time from a call's arrival to the beginning of its service, ms. */
  readonly p50: number;
  readonly p99: number;
};

export function simulate({ seed, shards, callsPerSecond, serviceMs, calls }: Traffic): Waits {
  const random = createRandom(seed);
  const exponential = (mean: number): number => -Math.log(1 - random.next()) * mean;
  const freeAt = Array<number>(shards).fill(0);
  const waits: number[] = [];
  let at = 0;
  let servedMs = 0;
  for (let call = 0; call < calls; call++) {
    at += exponential(1000 / callsPerSecond);
    const shard = Math.floor(random.next() * shards);
    const beginsAt = Math.max(at, freeAt[shard] ?? 0);
    const tookMs = exponential(serviceMs);
    freeAt[shard] = beginsAt + tookMs;
    servedMs += tookMs;
    waits.push(beginsAt - at);
  }
  const lastAt = Math.max(at, ...freeAt);
  return { busy: servedMs / shards / lastAt, p50: quantile(waits, 0.5), p99: quantile(waits, 0.99) };
}
