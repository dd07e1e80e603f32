/**
 * Counts calls of objects: the bindings are replaced by ones with counting stubs. The Worker and all objects share one
 * environment here, so all their calls are counted.
 */
import { env } from "cloudflare:workers";

const calls = new Map<string, number>();

/** The number of calls, by binding. */
export function callsMade(): Readonly<Record<string, number>> {
  return Object.fromEntries(calls);
}

export function countCalls(bindings: readonly string[]): void {
  const given = env as unknown as Record<string, DurableObjectNamespace>;
  for (const binding of bindings) {
    const namespace = given[binding];
    if (namespace !== undefined) given[binding] = watched(namespace, binding);
  }
}

function watched(namespace: DurableObjectNamespace, binding: string): DurableObjectNamespace {
  return new Proxy(namespace, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        const answer: unknown = Reflect.apply(value, target, given);
        return name === "get" || name === "getByName" ? counting(answer as DurableObjectStub, binding) : answer;
      };
    },
  });
}

function counting(stub: DurableObjectStub, binding: string): DurableObjectStub {
  return new Proxy(stub, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...given: unknown[]) => {
        calls.set(binding, (calls.get(binding) ?? 0) + 1);
        return Reflect.apply(value, target, given) as unknown;
      };
    },
  });
}
