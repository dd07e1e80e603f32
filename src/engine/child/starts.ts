/**
 * Owns: which starts of children are under way, whichever handler of the run asked for them. It passes all calls on; a start
 * waits for an earlier one that has the same child go on.
 * Does not own: asking for them, and what their answers mean (children), stopping children (orphans).
 * Invariant 1: whoever stops a child waits for the starts that may still create it; else there might be nothing to stop yet,
 * and the child would go on (guarantee 8).
 * Invariant 2: a child that is being retried is not taken for one that has ended, though the run began once more meanwhile:
 * it would go on with nobody to hear of its end (guarantee 8).
 */
import { added, emptyMap, emptySet, put } from "../../core/empty.ts";
import type { ChildEnd, Children, ChildStart, ChildStarted } from "../world.ts";
import type { ChildPolicy } from "../../core/run/origin.ts";
import type { SignalRequest } from "../../core/service/service.ts";

type UnderWay = { readonly request: ChildStart; readonly made: Promise<string> };

export class Starts implements Children {
  readonly #children: Children;
  #underWay: Set<UnderWay> = emptySet;
  /** Those that retry a child, by its id. */
  #retries: Map<string, Promise<string>> = emptyMap;

  constructor(children: Children) {
    this.#children = children;
  }

  start(request: ChildStart): Promise<ChildStarted> {
    const { id, former } = request;
    const retried = this.#retries.get(id);
    const start = (): Promise<ChildStarted> => this.#children.start(request);
    const started = retried === undefined ? start() : retried.then(start);
    // A start without an answer may have created the child that it asked for.
    const made = started.then(
      ({ child }) => child.id,
      () => id,
    );
    const one = { request, made };
    this.#underWay = added(this.#underWay, one);
    if (former !== null) this.#retries = put(this.#retries, former.child.id, made);
    void made.then(() => {
      this.#underWay.delete(one);
      if (former !== null && this.#retries.get(former.child.id) === made) this.#retries.delete(former.child.id);
    });
    return started;
  }

  end(id: string): Promise<ChildEnd | null> {
    return this.#children.end(id);
  }

  stop(id: string, policy: ChildPolicy): Promise<boolean> {
    return this.#children.stop(id, policy);
  }

  signal(runId: string, signal: SignalRequest): Promise<void> {
    return this.#children.signal(runId, signal);
  }

  /** Resolves once no start is under way that may create this child, to its id and those of the children that such starts found or created instead. */
  async settledIdsOf(child: string): Promise<ReadonlySet<string>> {
    const ofChild = [...this.#underWay].filter(({ request: { id, former } }) => {
      return id === child || former?.child.id === child;
    });
    return new Set([child, ...(await Promise.all(ofChild.map(({ made }) => made)))]);
  }
}
