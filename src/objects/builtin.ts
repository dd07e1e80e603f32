/**
 * Owns: what the workflows have in common that every deployment has: their terms, and going through many runs.
 * Does not own: which there are (catalog), what each does.
 */
import type { Definition } from "../core/definition.ts";

/** How often a step of theirs is tried again: with the last attempt it gives up what it cannot reach. */
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

/**
 * Some at once. All that was begun has ended before it rejects, so that an attempt leaves nothing under way.
 * @param stop once it aborts, nothing more is begun
 * @throws also the reason of `stop`
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
