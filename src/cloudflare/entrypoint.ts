/**
 * Owns: the base class of classes that were written for Cloudflare Workflows, and the error that they throw to give up.
 * Does not own: running it (workflow, step).
 */
import type { WorkflowEntrypoint as Entrypoint } from "cloudflare:workers";
import { NonRetryableError as GivesUp, hide } from "../core/error.ts";

class Base {
  protected readonly ctx: ExecutionContext;
  protected readonly env: unknown;

  constructor(ctx: ExecutionContext, env: unknown) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** Typed as Cloudflare's own, so that a class compiles with either. */
export const WorkflowEntrypoint = Base as unknown as typeof Entrypoint;

/** Thrown by a step that must not be retried, whatever the name of the error. */
export class NonRetryableError extends GivesUp {
  constructor(message: string, name = "NonRetryableError") {
    super(message);
    hide(this, "name", name);
  }
}
