/**
 * A seeded simulation of shards: runs arrive at random (a Poisson process), each is reported to a random shard, and a shard
 * serves one call at a time. Only the service time, an argument, is measured.
 */
import { createRandom } from "../../src/core/random.ts";
import { quantile } from "../sample.ts";

export type Traffic = {
  readonly seed: string;
  readonly shards: number;
  readonly callsPerSecond: number;
  /** The mean of the exponential distribution. */
  readonly serviceMs: number;
  readonly calls: number;
};

export type Waits = {
  /** The share of the time in which a shard is busy. */
  readonly busy: number;
  /** The time from the arrival of a call to the beginning of its service, ms. */
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
