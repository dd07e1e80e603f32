/**
 * Owns: webhooks for the web layer: those of runs, by their addresses, and those that start runs.
 * Does not own: the effect of a call on a run (engine/wait/hook), starting runs (inbound), the addresses (token).
 */
import { HoldfastError } from "../../core/error.ts";
import { checkRunId } from "../../core/name.ts";
import type { Hooks } from "../../core/service/hooks.ts";
import { runObject } from "../address.ts";
import { unwrap } from "../answer.ts";
import type { StartRun } from "../start/preparation.ts";
import { verifyToken } from "./token.ts";
import { receiveInbound } from "./inbound.ts";
import { infoOf } from "./webhook.ts";
import type { InboundDefinition, InboundWebhooks } from "./webhook.ts";

export function createHooks(webhooks: InboundWebhooks, start: StartRun): Hooks {
  const find = (name: string): InboundDefinition => {
    const webhook = webhooks.get(name);
    if (webhook !== undefined) return webhook;
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
    list: async () => [...webhooks.values()].map(infoOf),
    find: async (name) => infoOf(find(name)),
    receiveInbound: async (name, request) => await receiveInbound(find(name), request, start),
  };
}

/** An object of the deployment before does not have this method: then only the signature of the address is checked. */
function passUnable(error: unknown): null {
  if (error instanceof TypeError) return null;
  throw error;
}
