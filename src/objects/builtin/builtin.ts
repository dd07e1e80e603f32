/**
 * Owns: what the built-in workflows share: their policy, how a request starts them, and acting on many items.
 * Does not own: which there are (catalog), what each does.
 */
import { authorOf } from "../../core/author.ts";
import type { Definition } from "../../core/definition/definition.ts";
import { defined } from "../../core/record.ts";
import type { StartRequest } from "../../core/service/service.ts";
import { encode } from "../../core/value/value.ts";

/** The retries of their steps. In the last attempt a step gives up on runs that it cannot reach. */
export const retries = 8;
const atOnce = 20;

export function builtIn(name: string, handler: Definition["handler"]): Definition {
  return {
    name,
    version: "1",
    handler,
    input: undefined,
    output: undefined,
    signals: {},
    retry: { limit: retries, delay: 1000, maxDelay: 60_000 },
    timeoutMs: null,
    schedules: [],
    retentionMs: 30 * 24 * 3_600_000,
    labels: undefined,
    flow: {},
    limits: { steps: Number.MAX_SAFE_INTEGER, perStep: {} },
  };
}

export type BuiltInStart = Pick<StartRequest, "input" | "by" | "role" | "key" | "reason">;

/** @param what names the order in errors */
export function startOf(
  order: object,
  what: string,
  { key, reason, ...author }: Omit<BuiltInStart, "input">,
): BuiltInStart {
  return { input: encode(order, what), ...authorOf(author), ...defined({ key, reason }) };
}

/**
 * Acts on the items, some at once. Rejects only when all begun calls have ended, so that an attempt leaves none in flight.
 * @param stop when it aborts, no further call is begun
 * @throws the error of a call, or the reason of `stop`
 */
export async function actOnEach<Item>(
  items: readonly Item[],
  act: (item: Item) => Promise<void>,
  stop?: AbortSignal,
): Promise<void> {
  const line = items.values();
  const work = async (): Promise<void> => {
    for (const item of line) {
      stop?.throwIfAborted();
      await act(item);
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: atOnce }, work));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}
