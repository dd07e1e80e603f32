/** `race` and `map` of the model, made of its simpler calls. */
import { AsyncLocalStorage } from "node:async_hooks";
import { Given } from "./disagreement.ts";
import type { Deed, Fan, How } from "./player.ts";

/** What a branch of a race calls belongs to it. */
export type Scope = { readonly parent: Scope | null; lost: boolean };

export const scopes = new AsyncLocalStorage<Scope>();

export function isLost(scope: Scope | null): boolean {
  return scope !== null && (scope.lost || isLost(scope.parent));
}

/** @param withdraw some scopes are lost now */
export function race(
  branches: Readonly<Record<string, () => Promise<void>>>,
  withdraw: () => void,
): Promise<{ readonly key: string }> {
  return new Promise((resolve, reject) => {
    const parent = scopes.getStore() ?? null;
    const runners = Object.entries(branches).map(([key, run]) => ({ key, run, scope: { parent, lost: false } }));
    let isOver = false;
    const settle = (winner: Scope, tell: () => void): void => {
      if (isOver) return;
      isOver = true;
      for (const { scope } of runners) scope.lost = scope !== winner;
      withdraw();
      tell();
    };
    for (const { key, run, scope } of runners) {
      scopes.run(scope, run).then(
        () => settle(scope, () => resolve({ key })),
        (error: unknown) => settle(scope, () => reject(error)),
      );
    }
  });
}

type Item = (deed: (attempt: number, episode: number) => Deed, how: How) => Promise<unknown>;

/** As many items at once as may be, each begun by the one that ends; none once too many have failed. */
export async function map(
  name: string,
  items: number,
  deed: (item: number, episode: number) => Deed,
  how: How & Fan,
  call: Item,
): Promise<unknown> {
  const results: unknown[] = Array.from({ length: items }, () => null);
  const errors: unknown[] = [];
  let [next, failed] = [0, 0];
  const isFailed = (): boolean => !how.settled && failed > how.tolerate;
  const work = async (): Promise<void> => {
    while (next < items && !isFailed()) {
      const item = next++;
      try {
        const value = await call((_attempt, episode) => deed(item, episode), how);
        results[item] = how.settled ? { status: "fulfilled", value } : value;
      } catch (error) {
        if ((error as { code?: unknown }).code === "cancelled") throw error;
        failed++;
        errors[item] = error;
        if (how.settled) results[item] = { status: "rejected" };
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(how.width, items) }, work));
  if (!isFailed()) return results;
  throw Object.assign(new Given(), { code: "map_failed", step: name, errors });
}
