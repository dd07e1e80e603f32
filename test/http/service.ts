/** A service that stands for none: tests of the web layer alone go no further than its first call. */
import { HoldfastError } from "../../src/core/error.ts";
import type { Service } from "../../src/core/service/service.ts";

/** Every method throws what is given. */
export function failingService(error: unknown): Service {
  const fail = (): Promise<never> => Promise.reject(error);
  return {
    workflows: { list: fail, find: fail },
    runs: {
      start: fail,
      bindBatch: fail,
      read: fail,
      history: fail,
      list: fail,
      act: fail,
      fork: fail,
      previewFork: fail,
      export: fail,
      import: fail,
      bulk: fail,
      count: fail,
      follow: fail,
      timeline: fail,
      story: fail,
    },
    signals: { send: fail, broadcast: fail },
    schedules: {
      list: fail,
      find: fail,
      create: fail,
      change: fail,
      remove: fail,
      trigger: fail,
      backfill: fail,
      tick: fail,
    },
    hooks: { receive: fail, look: fail, revoke: fail, list: fail, find: fail, receiveInbound: fail },
    asks: { query: fail, update: fail },
    lanes: { list: fail, find: fail, override: fail },
    directory: { count: fail, causes: fail, follow: fail, rebuild: fail, rekey: fail },
    stats: { read: fail, census: fail },
  };
}

/** What a request gets that was let in. */
export const reached = new HoldfastError("run_not_found", "the service was reached");

export const tokens = "read:r-token-123,operate:o-token-123,admin:a-token-123";
