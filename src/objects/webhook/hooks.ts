/**
 * Owns: webhooks for the web layer: those of runs, by their addresses, and those that start runs.
 * Does not own: the effect of a call on a run (engine/wait/hook), starting runs (trigger), the addresses (token).
 */
import { HoldfastError } from "../../core/error.ts";
import { checkRunId } from "../../core/name.ts";
import type { Hooks } from "../../core/service/hooks.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import type { StartRun } from "../start/preparation.ts";
import { verifyToken } from "./token.ts";
import { receiveTrigger } from "./trigger.ts";
import { infoOf } from "./webhook.ts";
import type { Trigger, Triggers } from "./webhook.ts";

export function createHooks(triggers: Triggers, start: StartRun): Hooks {
  const find = (name: string): Trigger => {
    const trigger = triggers.get(name);
    if (trigger !== undefined) return trigger;
    throw new HoldfastError("webhook_not_found", "no webhook has this address");
  };
  return {
    receive: async (token, request) => {
      const { runId, ...address } = await verifyToken(token);
      return unwrap(await runObject(runId).hook(address, request));
    },
    look: async (token) => {
      const { runId, ...address } = await verifyToken(token);
      const answered = await runObject(runId).lookAtHook(address).catch(passUnable);
      if (answered !== null) unwrap(answered);
    },
    revoke: async (id, call, request) => unwrap(await runObject(checkRunId(id)).revokeHook(call, request)),
    list: async () => [...triggers.values()].map(infoOf),
    find: async (name) => infoOf(find(name)),
    trigger: async (name, request) => await receiveTrigger(find(name), request, start),
  };
}

/** An object of the deployment before does not have this method: then only the signature of the address is checked. */
function passUnable(error: unknown): null {
  if (error instanceof TypeError) return null;
  throw error;
}
