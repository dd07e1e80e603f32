/**
 * Owns: answering a query: a second handler, made from the journal alone, that is given the outcomes on record
 * and then asked.
 * Does not own: the run's own handler, which never learns of it; how long an answer may take (objects).
 *
 * Invariant 1: a query changes nothing: the replica appends nothing, begins nothing, and is thrown away once it
 * was asked, with whatever the query did to its variables.
 * Invariant 2: the answer follows from the journal, so that it is the same whether the run is at work, parked,
 * evicted or ended.
 */
import type { Definition } from "../../core/definition/definition.ts";
import { HoldfastError, storeError } from "../../core/error.ts";
import type { QueryAnswer } from "../../core/service/service.ts";
import type { Step } from "../../core/definition/step.ts";
import { encode } from "../../core/value/value.ts";
import { Execution } from "../execution.ts";
import type { Ledger } from "../ledger.ts";
import type { World } from "../world.ts";

export class Replica {
  readonly #execution: Execution;
  #asked = false;

  /** @param ledger a sealed one */
  constructor(definition: Definition, ledger: Ledger, world: World) {
    this.#execution = new Execution(definition, ledger, world);
  }

  /** Once. @param replayed called when the handler has been given all of it. @throws HoldfastError query_not_found */
  async answer(name: string, replayed: () => void = () => {}): Promise<QueryAnswer> {
    try {
      await this.#execution.rehearse((step) => this.#dress(step));
      replayed();
      const query = this.#execution.messageHandlers.findQuery(name);
      if (query === undefined) throw this.#execution.messageHandlers.notFound("query", name);
      this.#asked = true;
      return await answered(name, query);
    } finally {
      this.stop();
    }
  }

  /** Lets go of the handler, which stays suspended. */
  stop(): void {
    this.#execution.course.stop(() => new Error("the query is over"));
  }

  /** The step API as the handler may use it until it is asked. */
  #dress(step: Step): Step {
    const refuse = (): void => this.#refuse();
    return { ...guarded(step, refuse, ["now", "random", "uuid"]), log: guarded(step.log, refuse, []) };
  }

  #refuse(): void {
    if (!this.#asked) return;
    throw new HoldfastError("query_impure", "a query answers from the handler's variables and cannot call step");
  }
}

async function answered(name: string, query: () => unknown): Promise<QueryAnswer> {
  try {
    return { kind: "answered", result: encode(await query(), `the answer of query ${name}`) };
  } catch (error) {
    return { kind: "failed", error: storeError(error) };
  }
}

/** The same functions, each of which first asks whether it may be called. */
function guarded<Api extends object>(api: Api, check: () => void, free: readonly string[]): Api {
  const members = Object.entries(api).map(([name, member]: [string, unknown]) => {
    if (typeof member !== "function" || free.includes(name)) return [name, member];
    const guard = (...args: unknown[]): unknown => {
      check();
      return (member as (...args: unknown[]) => unknown)(...args);
    };
    return [name, guard];
  });
  return Object.fromEntries(members) as Api;
}
