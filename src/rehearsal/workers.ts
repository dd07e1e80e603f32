/**
 * Owns: a substitute for the module `cloudflare:workers` under Node, so that modules which define workflows can be loaded.
 * Does not own: its functions: no object can be reached.
 */
const bindings: readonly unknown[] = ["RUNS", "DIRECTORY", "SCHEDULER", "LANES"];

/** Without variables; using a namespace of objects throws an error that says why. */
export const env: object = new Proxy(
  {},
  {
    get: (_none, name) => {
      if (!bindings.includes(name)) return undefined;
      throw new Error(
        `there are no Durable Objects outside of Cloudflare (binding ${String(name)}): replace the step that reaches ` +
          "for one, or test in @cloudflare/vitest-pool-workers",
      );
    },
  },
);

/** Never instantiated here; classes of a Worker are derived from it. */
export class DurableObject {
  readonly ctx: unknown;
  readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** Does nothing: a process under Node waits for its work anyway. */
export function waitUntil(): void {}

export { DurableObject as RpcTarget, DurableObject as WorkerEntrypoint, DurableObject as WorkflowEntrypoint };
