/**
 * Owns: what a class that was written for Cloudflare Workflows is derived from, and what it throws to give up.
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

/** Has the type of Cloudflare's, so that a class compiles with the one where it did with the other. */
export const WorkflowEntrypoint = Base as unknown as typeof Entrypoint;

/** Thrown by a step that must not be tried again, whatever it is called. */
export class NonRetryableError extends GivesUp {
  constructor(message: string, name = "NonRetryableError") {
    super(message);
    hide(this, "name", name);
  }
}
