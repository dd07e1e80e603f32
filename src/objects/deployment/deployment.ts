/**
 * Owns: the id of this deployment of the Worker.
 * Does not own: its use (engine).
 */
import { variable } from "../address.ts";

let isolateId: string | null = null;

/**
 * The deployed version of the Worker. Without a binding for it, each isolate counts as a deployment, so that deaths of
 * isolates do not count as crashes of a step.
 */
export function deploymentId(): string {
  isolateId ??= crypto.randomUUID();
  return variable("CF_VERSION_METADATA", "id") ?? isolateId;
}
