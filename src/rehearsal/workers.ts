/**
 * Owns: what stands in the place of `cloudflare:workers` where there is no Cloudflare, so that a module that defines
 * workflows can be loaded under Node.
 * Does not own: any of what it stands for: no object can be reached here.
 */
const bindings: readonly unknown[] = ["RUNS", "DIRECTORY", "SCHEDULER", "LANES"];

/** Without variables; the objects say why they are not there. */
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

/** Made by nobody here; classes of a Worker are derived from it. */
export class DurableObject {
  readonly ctx: unknown;
  readonly env: unknown;

  constructor(ctx: unknown, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** Nothing ends before it is over here. */
export function waitUntil(): void {}

export { DurableObject as RpcTarget, DurableObject as WorkerEntrypoint, DurableObject as WorkflowEntrypoint };
