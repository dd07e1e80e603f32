/**
 * Owns: the time limits of queries and of waiting for updates, and that queries are replayed for in turn.
 * Does not own: their execution (engine/ask/replica, engine/ask/update).
 */
import { HoldfastError } from "../../core/error.ts";
import type { QueryAnswer, UpdateAnswer, UpdateRequest } from "../../core/service/service.ts";
import type { Run } from "../../engine/run.ts";
import { receiveUpdate } from "../../engine/ask/update.ts";
import type { Host } from "./host.ts";
import { against } from "../patience.ts";
import { Semaphore } from "../semaphore.ts";

const longestQueryMs = 10_000;
/** After this the caller gets the answer that the update was accepted and is not over. */
const longestUpdateMs = 60_000;

/** The queries of one run. */
export class Queries {
  /** For the replays, one after the other: each has all values of the run in memory. */
  readonly #line = new Semaphore(1);

  /** @param find called when it is the query's turn. @throws HoldfastError query_not_found, query_timeout, version_missing */
  async answer(find: () => Run, name: string): Promise<QueryAnswer> {
    const overAt = Date.now() + longestQueryMs;
    return await against(longestQueryMs, async (over) => {
      // Those before it have begun sooner, and are given up sooner: its turn comes no later than its time is over.
      const leave = await this.#line.take();
      try {
        // The journal is not read for nobody, once for each of a long line.
        if (Date.now() >= overAt) throw timeout(name);
        return await ask(find(), name, leave, over);
      } finally {
        leave();
      }
    });
  }
}

async function ask(run: Run, name: string, replayed: () => void, over: Promise<null>): Promise<QueryAnswer> {
  const replica = run.replica();
  try {
    const answer = await Promise.race([replica.answer(name, replayed), over]);
    if (answer !== null) return answer;
    throw timeout(name);
  } finally {
    replica.stop();
  }
}

function timeout(name: string): HoldfastError {
  return new HoldfastError("query_timeout", `query ${name} was not answered within ${longestQueryMs} ms`);
}

/** @throws HoldfastError as engine/ask/update */
export async function takeUpdate(run: Run, host: Pick<Host, "proceed">, request: UpdateRequest): Promise<UpdateAnswer> {
  let isWanted = true;
  const received = receiveUpdate(run, request, () => isWanted);
  host.proceed();
  try {
    return await against(longestUpdateMs, async (over) => {
      const accepted = await Promise.race([received, over]);
      // The handler, or the update's schema, took all that time.
      if (accepted === null)
        throw new HoldfastError("update_not_found", `the run took no update ${request.name} in time`);
      host.proceed();
      return (await Promise.race([accepted.end, over])) ?? { kind: "open", update: accepted.update };
    });
  } finally {
    isWanted = false;
    // The run may have gone to rest meanwhile: work that the update began needs the watchdog again.
    host.proceed();
  }
}
