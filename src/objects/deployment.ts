/**
 * Owns: which deployment of the Worker this is.
 * Does not own: what is made of it (engine).
 */
import { variable } from "./address.ts";

let isolateId: string | null = null;

/**
 * The deployed version of the Worker. Where no binding tells it, the life of this isolate stands for
 * it: what died with the isolate is then not held against a step.
 */
export function deploymentId(): string {
  isolateId ??= crypto.randomUUID();
  return variable("CF_VERSION_METADATA", "id") ?? isolateId;
}
