/**
 * Owns: doing something around every call of an object: at a caller's stub of it, or in the object itself.
 * Does not own: what is done (callee, meter, patience, witness).
 */

/** Makes the call, or calls the method, with these arguments. */
type Make = (...args: unknown[]) => unknown;

/** The same stub, but each of its calls is made by `around`. */
export function aroundCalls<Rpc extends object>(
  stub: Rpc,
  around: (make: Make, args: readonly unknown[], name: string | symbol) => unknown,
): Rpc {
  return new Proxy(stub, {
    get(target, name) {
      const call = Reflect.get(target, name) as unknown;
      if (typeof call !== "function") return call;
      const make: Make = (...args) => Reflect.apply(call, target, args);
      return (...args: unknown[]) => around(make, args, name);
    },
  });
}

/** Has every method of a class called by `around`. */
export function aroundMethods<Called extends object>(
  prototype: Called,
  around: (object: Called, make: Make, args: readonly unknown[], name: string) => unknown,
): void {
  for (const [name, { value, ...property }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (name === "constructor" || typeof value !== "function") continue;
    const method = value as Make;
    const intercepted = function (this: Called, ...args: unknown[]): unknown {
      return around(this, (...given) => method.apply(this, given), args, name);
    };
    Object.defineProperty(prototype, name, { ...property, value: intercepted });
  }
}
